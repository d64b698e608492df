package matrix

import "strings"

// Secrets are the variables that hold the addresses of the systems of vendor_live, with the family each is for.
func Secrets() map[string]string {
	all := map[string]string{}
	for _, f := range Families() {
		for _, set := range f.Secrets {
			for _, name := range set {
				all[name] = f.Name
			}
		}
	}
	return all
}

// SecretsPage is the table of those variables for the documents: which sets of them each family takes.
func SecretsPage() string {
	var b strings.Builder
	b.WriteString("| Family | Variables of `vendor_live` |\n| --- | --- |\n")
	for _, f := range Families() {
		names := "none"
		if len(f.Secrets) > 0 {
			var sets []string
			for _, set := range f.Secrets {
				sets = append(sets, "`"+strings.Join(set, "` and `")+"`")
			}
			names = strings.Join(sets, ", or ")
		}
		b.WriteString("| " + f.Name + " | " + names + " |\n")
	}
	return b.String()
}
