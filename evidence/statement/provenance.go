package statement

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence/statement/strict"
)

// ProvenanceType names SLSA provenance v1.
const ProvenanceType = "https://slsa.dev/provenance/v1"

// BuildType names how Mage builds: what [External] and [Internal] mean, and
// how to build again from them.
const BuildType = "https://github.com/dpone/dpone/buildtypes/mage/v1"

// The builders. Who may sign for which is for the reader's policy.
const (
	BuilderGitHubHosted = "https://github.com/actions/runner/github-hosted"
	BuilderLocal        = "https://github.com/dpone/dpone/builders/local/v1"
)

// Provenance says how artifacts were made (SLSA provenance v1).
type Provenance struct {
	BuildDefinition BuildDefinition `json:"buildDefinition"`
	RunDetails      RunDetails      `json:"runDetails"`
}

// BuildDefinition is everything that went into a build. What the parameters
// hold depends on the build type; [Provenance.Mage] reads those of ours.
type BuildDefinition struct {
	BuildType            string               `json:"buildType"`
	ExternalParameters   json.RawMessage      `json:"externalParameters"`
	InternalParameters   json.RawMessage      `json:"internalParameters,omitempty"`
	ResolvedDependencies []ResourceDescriptor `json:"resolvedDependencies,omitempty" limit:"4096"`
}

// RunDetails is who built, when, and what came out besides the subjects.
type RunDetails struct {
	Builder    Builder              `json:"builder"`
	Metadata   *BuildMetadata       `json:"metadata,omitempty"`
	Byproducts []ResourceDescriptor `json:"byproducts,omitempty" limit:"4096"`
}

// Builder is the platform that is trusted to have built as stated.
type Builder struct {
	ID                  string               `json:"id"`
	BuilderDependencies []ResourceDescriptor `json:"builderDependencies,omitempty" limit:"1024"`
	Version             map[string]string    `json:"version,omitempty" limit:"64"`
}

// BuildMetadata is one run of the builder. The times are RFC 3339.
type BuildMetadata struct {
	// InvocationID is the address of the run, with its attempt.
	InvocationID string    `json:"invocationId,omitempty"`
	StartedOn    time.Time `json:"startedOn,omitzero"`
	FinishedOn   time.Time `json:"finishedOn,omitzero"`
}

// External are the parameters of [BuildType] that whoever asks for a build
// controls. They are complete: a reader checks all of them and refuses others.
type External struct {
	Source ExternalSource `json:"source"`
	Mage   ExternalMage   `json:"mage"`
	// GoFlags is the value of GOFLAGS.
	GoFlags string `json:"goflags"`
	// Env are the names of the environment variables that the build is allowed
	// to read: names, never values.
	Env []string `json:"env" limit:"1024"`
}

// ExternalSource is what is built.
type ExternalSource struct {
	// Repository is the address without credentials; Ref is refs/heads/... or refs/tags/...
	Repository string `json:"repository"`
	Ref        string `json:"ref"`
}

// ExternalMage is how it is built: mage -d Dir Targets Args.
type ExternalMage struct {
	Dir     string   `json:"dir"`
	Targets []string `json:"targets" limit:"1024"`
	Args    []string `json:"args" limit:"1024"`
}

// Internal are the parameters of [BuildType] that the builder sets.
type Internal struct {
	// CI is the automation, as in a record; empty on a laptop but for Provider "local".
	Provider          string `json:"provider"`
	Event             string `json:"event,omitempty"`
	RunID             string `json:"runId,omitempty"`
	Attempt           string `json:"attempt,omitempty"`
	RunnerEnvironment string `json:"runnerEnvironment,omitempty"`
	GOOS              string `json:"goos"`
	GOARCH            string `json:"goarch"`
	GoVersion         string `json:"goVersion"`
}

// MageBuild is a build by Mage, from which [NewProvenance] makes the predicate.
type MageBuild struct {
	External External
	Internal Internal
	// Dependencies are the commit, the package of magefiles (dirHash1), go.mod,
	// go.sum, the compiled mage binary, the Go toolchain, the container image
	// if there is one. The commit is mandatory: an element with a gitCommit.
	Dependencies []ResourceDescriptor
	BuilderID    string
	Builder      map[string]string // versions of the builder's parts
	InvocationID string
	Started      time.Time
	Finished     time.Time
	Byproducts   []ResourceDescriptor
}

// NewProvenance makes the provenance of a build by Mage. Times are written in
// UTC, in whole seconds.
func NewProvenance(b MageBuild) (*Provenance, error) {
	b.External.Env = emptied(b.External.Env)
	b.External.Mage.Targets = emptied(b.External.Mage.Targets)
	b.External.Mage.Args = emptied(b.External.Mage.Args)
	external, err := marshal(b.External)
	if err != nil {
		return nil, fmt.Errorf("provenance: external parameters: %w", err)
	}
	internal, err := marshal(b.Internal)
	if err != nil {
		return nil, fmt.Errorf("provenance: internal parameters: %w", err)
	}
	p := &Provenance{
		BuildDefinition: BuildDefinition{
			BuildType: BuildType, ExternalParameters: external, InternalParameters: internal,
			ResolvedDependencies: b.Dependencies,
		},
		RunDetails: RunDetails{
			Builder:    Builder{ID: b.BuilderID, Version: b.Builder},
			Metadata:   &BuildMetadata{InvocationID: b.InvocationID, StartedOn: second(b.Started), FinishedOn: second(b.Finished)},
			Byproducts: b.Byproducts,
		},
	}
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("provenance: %w", err)
	}
	return p, nil
}

func second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// emptied is the list, never null.
func emptied(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// PredicateType returns [ProvenanceType].
func (*Provenance) PredicateType() string { return ProvenanceType }

// Validate refuses provenance without a build type, external parameters or
// builder. Of a build by Mage it demands everything that [BuildType] has.
func (p *Provenance) Validate() error {
	d := &p.BuildDefinition
	if err := word("buildDefinition.buildType", d.BuildType, true); err != nil {
		return err
	}
	if len(d.ExternalParameters) == 0 || d.ExternalParameters[0] != '{' {
		return strict.Refuse(strict.Schema, "buildDefinition.externalParameters", "not an object")
	}
	if len(d.InternalParameters) > 0 && d.InternalParameters[0] != '{' {
		return strict.Refuse(strict.Schema, "buildDefinition.internalParameters", "not an object")
	}
	for _, list := range []struct {
		field string
		list  []ResourceDescriptor
	}{
		{"buildDefinition.resolvedDependencies", d.ResolvedDependencies},
		{"runDetails.builder.builderDependencies", p.RunDetails.Builder.BuilderDependencies},
		{"runDetails.byproducts", p.RunDetails.Byproducts},
	} {
		if err := validateAll(list.field, list.list, false); err != nil {
			return err
		}
	}
	if err := word("runDetails.builder.id", p.RunDetails.Builder.ID, true); err != nil {
		return err
	}
	if err := words("runDetails.builder.version", p.RunDetails.Builder.Version); err != nil {
		return err
	}
	if m := p.RunDetails.Metadata; m != nil {
		if err := word("runDetails.metadata.invocationId", m.InvocationID, false); err != nil {
			return err
		}
		if !m.StartedOn.IsZero() && !m.FinishedOn.IsZero() && m.FinishedOn.Before(m.StartedOn) {
			return strict.Refuse(strict.Schema, "runDetails.metadata.finishedOn", "it is before startedOn")
		}
	}
	if d.BuildType == BuildType {
		return p.validateMage()
	}
	return nil
}

func words(field string, list map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(list)) {
		if err := word(field, key, true); err != nil {
			return err
		}
		if err := word(field+"."+key, list[key], false); err != nil {
			return err
		}
	}
	return nil
}

var (
	externals = strict.NewDecoder[External](limits())
	internals = strict.NewDecoder[Internal](limits())
)

// Mage returns the parameters of a build by Mage. It is an error for any other build type.
func (p *Provenance) Mage() (External, Internal, error) {
	d := p.BuildDefinition
	if d.BuildType != BuildType {
		return External{}, Internal{}, fmt.Errorf("provenance: %w", strict.Refuse(strict.Schema, "buildDefinition.buildType", "%s is not %s", strict.Quote(d.BuildType), BuildType))
	}
	external, err := externals.Decode(d.ExternalParameters)
	if err != nil {
		return External{}, Internal{}, within("buildDefinition.externalParameters", err)
	}
	internal, err := internals.Decode(d.InternalParameters)
	if err != nil {
		return External{}, Internal{}, within("buildDefinition.internalParameters", err)
	}
	return external, internal, nil
}

func (p *Provenance) validateMage() error {
	external, internal, err := p.Mage()
	if err != nil {
		return err
	}
	const params = "buildDefinition.externalParameters"
	m := p.RunDetails.Metadata
	if m == nil || m.StartedOn.IsZero() || m.FinishedOn.IsZero() {
		return strict.Refuse(strict.Schema, "runDetails.metadata", "startedOn and finishedOn are mandatory")
	}
	if len(external.Mage.Targets) == 0 {
		return strict.Refuse(strict.Schema, params+".mage.targets", "no target was built")
	}
	for _, part := range []struct {
		field, text string
	}{
		{params + ".source.repository", external.Source.Repository},
		{params + ".source.ref", external.Source.Ref},
		{params + ".mage.dir", external.Mage.Dir},
		{"buildDefinition.internalParameters.provider", internal.Provider},
		{"buildDefinition.internalParameters.goos", internal.GOOS},
		{"buildDefinition.internalParameters.goarch", internal.GOARCH},
		{"buildDefinition.internalParameters.goVersion", internal.GoVersion},
		{"runDetails.metadata.invocationId", m.InvocationID},
	} {
		if err := word(part.field, part.text, true); err != nil {
			return err
		}
	}
	for i, target := range external.Mage.Targets {
		if err := word(fmt.Sprintf("%s.mage.targets[%d]", params, i), target, true); err != nil {
			return err
		}
	}
	for i, name := range external.Env {
		if err := word(fmt.Sprintf("%s.env[%d]", params, i), name, true); err != nil {
			return err
		}
		if strings.Contains(name, "=") {
			return strict.Refuse(strict.Schema, fmt.Sprintf("%s.env[%d]", params, i), "names only, without values")
		}
	}
	if !slices.ContainsFunc(p.BuildDefinition.ResolvedDependencies, func(d ResourceDescriptor) bool { return d.Digest["gitCommit"] != "" }) {
		return strict.Refuse(strict.Schema, "buildDefinition.resolvedDependencies", "no element with a gitCommit: the source is mandatory")
	}
	return nil
}
