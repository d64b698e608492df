//go:build !mage

package main

func Helper(names ...string) {}
