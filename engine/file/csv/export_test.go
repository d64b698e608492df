package csv

// SetLimits makes the limits small enough for a test.
func (r *Reader) SetLimits(field, row int) { r.maxField, r.maxRow = field, row }
