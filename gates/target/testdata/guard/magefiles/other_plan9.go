//go:build mage

package main

func Plan9Only() {}
