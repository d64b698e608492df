package tables

import (
	"fmt"
	"go/ast"
	"io/fs"
	"reflect"
	"strings"

	"github.com/dpone/dpone/evidence/verify"
	"github.com/dpone/dpone/gates/docs/generate"
)

// Evidence are the tables about the verification of evidence: what it can say, and the fields of a trust policy.
func Evidence(runbooks, policy string) []generate.Table {
	return []generate.Table{
		{Name: "verification-codes", Pages: []string{runbooks}, Make: plain(verificationCodes)},
		{Name: "policy-fields", Pages: []string{policy}, Make: policyFields},
	}
}

func verificationCodes() string {
	var rows [][]string
	for _, r := range verify.Reasons() {
		rows = append(rows, []string{"`" + string(r.Code) + "`", r.Verdict.String(), r.Means, r.Fix})
	}
	return table([]string{"Code", "Verdict", "Means", "Do"}, rows)
}

// policyParts are the structs of a trust policy, in the order of the page.
var policyParts = []struct{ name, title string }{
	{"Policy", "The file"},
	{"Subject", "`subject`"},
	{"Signer", "`signers[]`"},
	{"Identity", "`signers[].identity`"},
	{"Log", "`log`"},
	{"TrustedRoot", "`trusted_root`"},
	{"Limits", "`limits`"},
	{"Waiver", "`waivers[]`"},
}

// policyFields has a section for each struct of package policy, made of its comments.
func policyFields(tree fs.FS, _ []string) (string, error) {
	structs := map[string]*ast.StructType{}
	comments := map[string]string{}
	for _, name := range []string{"evidence/policy/policy.go", "evidence/policy/waiver.go"} {
		file, err := parse(tree, name)
		if err != nil {
			return "", err
		}
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range gen.Specs {
				if typ, ok := spec.(*ast.TypeSpec); ok {
					if s, ok := typ.Type.(*ast.StructType); ok {
						structs[typ.Name.Name], comments[typ.Name.Name] = s, commentLine(gen.Doc)
					}
				}
			}
		}
	}
	var sections []string
	for _, part := range policyParts {
		s := structs[part.name]
		if s == nil {
			return "", fmt.Errorf("package policy has no struct %s", part.name)
		}
		rows, err := policyRows(s)
		if err != nil {
			return "", fmt.Errorf("%s: %w", part.name, err)
		}
		sections = append(sections, "## "+part.title+"\n\n"+comments[part.name]+"\n\n"+table([]string{"Field", "Type", "Means"}, rows))
	}
	return strings.Join(sections, "\n"), nil
}

func policyRows(s *ast.StructType) ([][]string, error) {
	var rows [][]string
	shared := "" // a comment may be about several fields
	for _, f := range s.Fields.List {
		if f.Tag == nil {
			continue
		}
		key, options, _ := strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json"), ",")
		if key == "-" {
			continue
		}
		if f.Doc != nil {
			shared = commentLine(f.Doc)
			if rest, ok := strings.CutPrefix(shared, f.Names[0].Name+" "); ok && len(f.Names) == 1 {
				shared = "`" + key + "` " + rest
			}
		}
		if rest, ok := strings.CutPrefix(shared, "NotBefore, NotAfter and RevokedAt "); ok {
			shared = "`not_before`, `not_after` and `revoked_at` " + rest
		}
		kind, err := policyType(f.Type)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		if !strings.Contains(options, "omit") {
			kind += ", mandatory"
		}
		rows = append(rows, []string{"`" + key + "`", kind, shared})
	}
	return rows, nil
}

// commentLine is a comment as one line of Markdown.
func commentLine(doc *ast.CommentGroup) string {
	text := strings.Join(strings.Fields(doc.Text()), " ")
	return strings.NewReplacer("[", "", "]", "", "*", "\\*", `["push"]`, "`push`").Replace(text)
}

func policyType(e ast.Expr) (string, error) {
	switch e := e.(type) {
	case *ast.StarExpr:
		return policyType(e.X)
	case *ast.ArrayType:
		element, err := policyType(e.Elt)
		return "list of " + element, err
	case *ast.SelectorExpr:
		return "time, RFC 3339", nil
	case *ast.Ident:
		switch e.Name {
		case "string", "Use":
			return "text", nil
		case "bool":
			return "true or false", nil
		case "int", "int64":
			return "number", nil
		case "Duration":
			return "duration", nil
		}
		return "object", nil
	}
	return "", fmt.Errorf("no words for the type %T", e)
}
