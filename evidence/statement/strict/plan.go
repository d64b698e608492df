package strict

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// shape is what kind of JSON value a Go type takes.
type shape uint8

const (
	anything shape = iota
	object         // a struct: exactly these keys
	dict           // a map: any keys, one type of value
	list
	text
	number
	boolean
)

var shapeNames = [...]string{
	anything: "any value", object: "an object", dict: "an object", list: "an array", text: "a string", number: "a number", boolean: "true or false",
}

// plan is what a document of a type looks like.
type plan struct {
	shape  shape
	fields map[string]member // of an object
	elem   *plan             // of a list or a dict
}

// member is what stands under one key; limit is the most elements or members
// it may have, 0 for no limit of its own.
type member struct {
	plan  *plan
	limit int
}

// free is the plan of a value of which nothing is known. It is never changed.
var free = plan{}

var (
	textType = reflect.TypeFor[encoding.TextUnmarshaler]()
	jsonType = reflect.TypeFor[json.Unmarshaler]()
	rawType  = reflect.TypeFor[json.RawMessage]()
	timeType = reflect.TypeFor[time.Time]()
)

func planFor[T any]() *plan {
	return planOf(reflect.TypeFor[T](), map[reflect.Type]*plan{})
}

// planOf looks at a type once; seen ends the recursion of types that hold themselves.
func planOf(t reflect.Type, seen map[reflect.Type]*plan) *plan {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if p, ok := seen[t]; ok {
		return p
	}
	p := &plan{}
	seen[t] = p
	pointer := reflect.PointerTo(t)
	switch {
	case t == rawType:
		return p
	case t == timeType, pointer.Implements(textType):
		p.shape = text
		return p
	case pointer.Implements(jsonType):
		return p
	}
	switch t.Kind() {
	case reflect.Struct:
		p.shape, p.fields = object, map[string]member{}
		for i := range t.NumField() {
			field := t.Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !field.IsExported() || name == "-" {
				continue
			}
			if name == "" {
				name = field.Name
			}
			limit, err := strconv.Atoi(field.Tag.Get("limit"))
			if err != nil {
				limit = 0
			}
			p.fields[name] = member{plan: planOf(field.Type, seen), limit: limit}
		}
	case reflect.Map:
		p.shape, p.elem = dict, planOf(t.Elem(), seen)
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			p.shape = text
			break
		}
		p.shape, p.elem = list, planOf(t.Elem(), seen)
	case reflect.String:
		p.shape = text
	case reflect.Bool:
		p.shape = boolean
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64:
		p.shape = number
	}
	return p
}
