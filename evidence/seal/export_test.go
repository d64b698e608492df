package seal

// Portable makes the options keep to what every system has.
func Portable(o Options) Options {
	o.portable = true
	return o
}
