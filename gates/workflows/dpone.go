package workflows

// Dpone is the inventory of this project.
func Dpone() Inventory {
	return Inventory{
		Branch: "master",
		Workflows: []Workflow{
			ciWorkflow(), pagesWorkflow(), secretScanWorkflow(), codeqlWorkflow(), scorecardWorkflow(),
			dependencyReviewWorkflow(), matrixWorkflow(),
			planned("release.yml", "Release", "release only", "Builds the release, writes its evidence and publishes it after every gate is green.", Trigger{Tags: []string{"v*.*.*"}, ByHand: true}, "release:attest"),
			planned("observability-maturity.yml", "Observability maturity", "by hand and weekly", "Exports Prometheus and OpenTelemetry metrics and holds them against the service levels.", Trigger{Schedule: "17 5 * * 1", ByHand: true}),
			planned("connector-certification.yml", "Connector certification", "by hand and daily", "Certifies connectors offline, on local systems and, when asked, on those of a vendor.", Trigger{Schedule: "17 2 * * *", ByHand: true}),
			planned("production-maturity.yml", "Production maturity", "by hand and weekly", "Joins the evidence of certification, change capture, performance, security, supply chain, governance and docs into one report.", Trigger{Schedule: "17 3 * * 1", ByHand: true}),
			planned("industrial-readiness.yml", "Industrial readiness", "by hand and weekly", "Joins the evidence of the local matrix, correctness, reliability, performance, use and governance into one report.", Trigger{Schedule: "31 4 * * 2", ByHand: true}),
			planned("certification-release-summary.yml", "Certification release summary", "by hand", "Verifies the evidence of named replay, matrix and connector runs and comes to a go or no-go.", Trigger{ByHand: true}),
			planned("full-certification.yml", "Full certification", "by hand and weekly", "Carries a profile of the matrix through benchmark, lineage, bundle, suite, index and log.", Trigger{Schedule: "41 3 * * 2", ByHand: true}),
			planned("live-certification.yml", "Live certification", "by hand", "Certifies a release candidate on durable systems.", Trigger{ByHand: true}),
			planned("replay-integration.yml", "Replay integration", "by hand", "Replays recorded runs and holds that they come out the same.", Trigger{ByHand: true}),
		},
		ByHand: []Reason{
			{"bench:ci", "a measurement for a person who wants figures"},
			{"bench:docs", "a measurement for a person who wants figures"},
			{"bench:engine", "a measurement for a person who wants figures"},
			{"bench:evidence", "a measurement for a person who wants figures"},
			{"bench:matrix", "a measurement for a person who wants figures"},
			{"ci:cross", "takes long; for a release"},
			{"docs:browser", "needs a Chromium, and looks at what docs:build has held already"},
			{"docs:diagrams", "writes pictures, which are committed"},
			{"docs:generate", "writes pages, which are committed; docs:contract holds them"},
			{"docs:serve", "shows the docs to their author"},
			{"doctor", "looks at the machine of a developer"},
			{"evidence:chain", "looks after evidence that is there"},
			{"evidence:conformance", "builds cosign, which takes minutes; for a change of signatures"},
			{"evidence:diff", "looks after evidence that is there"},
			{"evidence:index", "looks after evidence that is there"},
			{"evidence:keygen", "makes a secret, which no workflow should see"},
			{"evidence:log", "looks after evidence that is there"},
			{"evidence:prove", "looks after evidence that is there"},
			{"evidence:reproduce", "runs again what a record says was run, to check the record"},
			{"evidence:sign", "looks after evidence that is there"},
			{"evidence:verify", "looks after evidence that is there"},
			{"matrix:faults", "takes long; for a change of the matrix or of the engine"},
			{"matrix:list", "shows, and holds nothing"},
			{"matrix:mockLocal", "in the workflow it is cut into matrix:shard"},
			{"matrix:realLocal", "in the workflow it is cut into matrix:shard"},
			{"run", "moves data"},
			{"run:validate", "looks at the manifest of a user"},
		},
		Slow: []Reason{
			{"bench:ci", "takes long"},
			{"bench:docs", "takes long"},
			{"bench:engine", "takes long"},
			{"bench:evidence", "takes long"},
			{"bench:matrix", "takes long"},
			{"ci:cross", "takes long"},
			{"matrix:faults", "takes long"},
			{"matrix:merge", "belongs to a run that takes long"},
			{"matrix:mockLocal", "takes long"},
			{"matrix:plan", "belongs to a run that takes long"},
			{"matrix:realLocal", "takes long"},
			{"matrix:shard", "takes long"},
			{"matrix:vendorLive", "needs credentials"},
		},
		Live: []string{"matrix:vendorLive"},
		Families: []Family{
			{"actions/checkout", "v6", "runs on Node 24"},
			{"actions/setup-go", "v6.2", "runs on Node 24"},
			{"actions/upload-artifact", "v6", "runs on Node 24"},
			{"actions/download-artifact", "v7", "runs on Node 24"},
			{"actions/configure-pages", "v6", "sets up Pages on the current runtime"},
			{"actions/upload-pages-artifact", "v5", "uploads with an upload-artifact of the current runtime"},
			{"actions/deploy-pages", "v5", "deploys on the current runtime"},
			{"actions/dependency-review-action", "v5", "runs on Node 24"},
			{"github/codeql-action", "v4", "the line of CodeQL that is maintained, on the current runtime"},
			{"ossf/scorecard-action", "v2.4", "runs in a container, without Node"},
			{"softprops/action-gh-release", "v3", "runs on Node 24"},
		},
	}
}

// planned is a workflow that comes with its gates; those that are there already may be named.
func planned(file, name, required, purpose string, on Trigger, gates ...string) Workflow {
	w := Workflow{File: file, Name: name, State: Planned, On: on, Required: required, Purpose: purpose}
	if len(gates) > 0 {
		w.Jobs = []Job{{ID: "gates", Gates: gates}}
	}
	return w
}

// runName is how an artifact is told from those of other runs.
const runName = "-<run_id>-<run_attempt>"

func ciWorkflow() Workflow {
	return Workflow{
		File: "ci.yml", Name: "CI", State: Present, Required: "yes",
		On:      Trigger{Push: true, PullRequest: true, ByHand: true},
		Purpose: "Modules, format, lint, vet, tests with coverage, PostgreSQL xmin, the matrix without services, workflows, docs, secrets, a reproducible build.",
		Jobs: []Job{{
			ID: "default-gate", Does: "the default gate, all of it", Gates: []string{"ci"},
			Parts: []string{
				"ci:test", "ci:lint", "ci:build", "ci:vet", "ci:modules", "ci:format", "ci:postgresXmin",
				"matrix:mockContract", "workflows:check", "docs:build", "docs:contract", "security:secrets", "ci:tree",
			},
			Artifacts: []Artifact{{"default-gate" + runName, "test_artifacts/ci/", 90, "record, logs, JUnit, coverage.xml and matrix results of the run"}},
		}},
		Local: []string{"mage ci"},
	}
}

func pagesWorkflow() Workflow {
	return Workflow{
		File: "pages.yml", Name: "docs", State: Present, Required: "for changes of docs",
		On: Trigger{
			Push: true, PullRequest: true, ByHand: true,
			Paths: []string{"docs/**", "*.md", ".github/**", "gates/docs/**", "gates/workflows/**", "magefiles/**"},
		},
		Purpose: "Builds the site strictly and holds docs against code; deploys it to GitHub Pages from the newest master.",
		Jobs: []Job{
			{
				ID: "build", Does: "the docs contract, then the site", Gates: []string{"docs:contract", "docs:build"},
				Actions: []string{"actions/upload-pages-artifact"},
				Artifacts: []Artifact{
					{"docs" + runName, "test_artifacts/docs/", 30, "record and findings of both gates"},
					{"github-pages", "test_artifacts/docs/latest/site", 1, "the site as it is deployed"},
				},
			},
			{
				ID: "current", Does: "is this commit still the newest of master? not for pull requests", Gates: []string{Current},
				Artifacts: []Artifact{{"docs-current" + runName, "test_artifacts/workflows/", 30, "which commit was the newest"}},
			},
			{
				ID: "deploy", Does: "deploys; only after both, from master, at the first attempt",
				Actions: []string{"actions/configure-pages", "actions/deploy-pages"},
				Grants: []Grant{
					{"pages: write", "the deployment itself"},
					{"id-token: write", "Pages asks where the deployment comes from"},
				},
			},
		},
		Local: []string{"mage docs:contract", "mage docs:build", "mage workflows:current"},
		Notes: []string{"A deployment that failed is not repeated: start the workflow by hand from master, so that the newest commit is built again."},
	}
}

func secretScanWorkflow() Workflow {
	return Workflow{
		File: "secret-scan.yml", Name: "Secret Scan", State: Present, Required: "yes",
		On:      Trigger{Push: true, PullRequest: true, Schedule: "53 3 * * 1", ByHand: true},
		Purpose: "Looks for secrets in the tree and in the whole history.",
		Jobs: []Job{{
			ID: "secrets", Does: "the scan, with the full history checked out", Gates: []string{"security:secrets"},
			Artifacts: []Artifact{{"secret-scan" + runName, "test_artifacts/security/", 30, "what was looked at and found; never the secret itself"}},
		}},
		Local: []string{"mage security:secrets"},
	}
}

func codeqlWorkflow() Workflow {
	return Workflow{
		File: "codeql.yml", Name: "CodeQL", State: Present, Required: "yes",
		On:      Trigger{Push: true, PullRequest: true, Schedule: "21 3 * * 1", ByHand: true},
		Purpose: "Static analysis for security: CodeQL, and beside it the analysers that a laptop has, too.",
		Jobs: []Job{
			{
				ID: "codeql", Does: "CodeQL for Go, its findings to code scanning", Actions: []string{"github/codeql-action"},
				Grants: []Grant{{"security-events: write", "findings go to code scanning"}},
			},
			{
				ID: "static", Does: "gosec and staticcheck", Gates: []string{"security:static"},
				Artifacts: []Artifact{{"static-analysis" + runName, "test_artifacts/security/", 30, "record and SARIF"}},
			},
		},
		Local: []string{"mage security:static"},
		Notes: []string{"CodeQL itself runs on GitHub; on a laptop it runs only where its program is installed."},
	}
}

func scorecardWorkflow() Workflow {
	return Workflow{
		File: "scorecard.yml", Name: "OSSF Scorecard", State: Present, Required: "advisory",
		On:      Trigger{Push: true, Schedule: "37 3 * * 1", Others: []string{"branch_protection_rule"}},
		Purpose: "How well the supply chain is looked after, by the checks of OSSF.",
		Jobs: []Job{
			{
				ID: "analysis", Does: "all checks, published, findings to code scanning", Actions: []string{"ossf/scorecard-action", "github/codeql-action"},
				Grants: []Grant{
					{"security-events: write", "findings go to code scanning"},
					{"id-token: write", "signs the published result"},
				},
				Artifacts: []Artifact{{"scorecard-sarif" + runName, "scorecard.sarif", 30, "the result of all checks"}},
			},
			{
				ID: "offline", Does: "the checks that need no GitHub", Gates: []string{"security:scorecard"},
				Artifacts: []Artifact{{"scorecard" + runName, "test_artifacts/security/", 30, "record and SARIF of the checks that a laptop has, too"}},
			},
		},
		Local: []string{"mage security:scorecard"},
		Notes: []string{"A result is published only from a workflow whose job of the scorecard holds nothing but that: the checks of a laptop have a job of their own."},
	}
}

func dependencyReviewWorkflow() Workflow {
	return Workflow{
		File: "dependency-review.yml", Name: "Dependency Review", State: Present, Required: "yes",
		On:      Trigger{Push: true, PullRequest: true, Schedule: "9 4 * * 1", ByHand: true},
		Purpose: "Known vulnerabilities and licences of what the project depends on, and of what a change would add.",
		Jobs: []Job{
			{ID: "review", Does: "what a pull request adds", Actions: []string{"actions/dependency-review-action"}},
			{
				ID: "modules", Does: "all modules: vulnerabilities, licences", Gates: []string{"security:vulns", "security:licenses"},
				Artifacts: []Artifact{{"dependencies" + runName, "test_artifacts/security/", 30, "records of both gates, with the age of the database"}},
			},
		},
		Local: []string{"mage security:vulns", "mage security:licenses"},
		Notes: []string{"The weekly run finds what became known since the last change."},
	}
}

func matrixWorkflow() Workflow {
	const dsn, source, sink = "DPONE_MATRIX_POSTGRES_DSN", "DPONE_MATRIX_POSTGRES_SOURCE_DSN", "DPONE_MATRIX_POSTGRES_SINK_DSN"
	const rotate = "give the role a new password, store the new address in the environment vendor-live, then drop the old password"
	return Workflow{
		File: "integration-matrix.yml", Name: "Source/Sink integration matrix", State: Present, Required: "by hand",
		On: Trigger{ByHand: true, Inputs: []Input{
			{Name: "case_id_filter", Default: "*", About: "only these cases, comma-separated"},
			{Name: "run_mode", Default: "mock_local", Options: []string{"mock_contract", "mock_local", "real_local", "vendor_live"}, About: "how the cases are carried out"},
			{Name: "shards", Default: "4", About: "number of machines, 1 to 256; not for vendor_live"},
			{Name: "sink_filter", Default: "*", About: "only these sinks, comma-separated"},
			{Name: "source_filter", Default: "*", About: "only these sources, comma-separated"},
			{Name: "strategy_filter", Default: "*", About: "only these load strategies, comma-separated"},
		}},
		Purpose: "Every source, sink and load strategy on the real engine, cut into shards, or on the caller's own systems.",
		Jobs: []Job{
			{ID: "plan", Does: "cuts the cases", Helpers: []string{"matrix:plan"}},
			{
				ID: "shard", Does: "carries out one part", Gates: []string{"matrix:shard"},
				Artifacts: []Artifact{{"source-sink-integration-matrix-shard-<index>", "test_artifacts/integration_matrix/", 30, "the run folder of one shard"}},
			},
			{
				ID: "merge", Does: "joins the parts; red when one is missing", Gates: []string{"matrix:merge"}, Actions: []string{"actions/download-artifact"},
				Artifacts: []Artifact{{"source-sink-integration-matrix", "test_artifacts/integration_matrix/", 90, "metadata, behaviour and JUnit of all cases, certification report"}},
			},
			{
				ID: "vendor-live", Does: "the caller's own systems, when run_mode is vendor_live", Gates: []string{"matrix:vendorLive"},
				Artifacts: []Artifact{{"source-sink-integration-matrix-vendor-live", "test_artifacts/integration_matrix/", 90, "the run folder; readiness.json names the secrets that were there"}},
				Secrets: []Secret{
					{dsn, "PostgreSQL that is source and sink", rotate},
					{source, "PostgreSQL that is the source, instead of one for both", rotate},
					{sink, "PostgreSQL that is the sink, instead of one for both", rotate},
				},
			},
		},
		Local: []string{"mage matrix:mockContract", "mage matrix:mockLocal", "mage matrix:realLocal", "mage matrix:plan -shards=4", "mage matrix:shard -index=0 -total=4", "mage matrix:merge -from=DIR", "mage matrix:vendorLive"},
		Notes: []string{"The servers of the local modes are thrown away after the run and need no setting up, so there is no input to start them."},
	}
}
