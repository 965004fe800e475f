package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/aivault/aivault/cmd/aivault/cli/argv"
	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/cmd/aivault/cli/progress"
)

func schedule(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "schedule", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// accepts has the real command tree read a command line, with these variables, and
// returns which command it would run. Nothing is opened.
func accepts(t *testing.T, args []string, env map[string]string) string {
	t.Helper()
	root := program()
	called := ""
	walk(root, nil, func(c *command, path []string) {
		if c.run != nil {
			c.run = func(context.Context, *call) error {
				called = strings.Join(path, " ")
				return nil
			}
		}
	})
	line, err := argv.Normalise(root.tree(), args)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	var said bytes.Buffer
	r := newRun(&system{args: args, env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }, stdout: io.Discard, stderr: progress.NewScreen(&said)})
	defer r.close()
	if err := root.app(r).RunContext(t.Context(), append([]string{root.name}, line.Tokens()...)); err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	known := map[string]bool{}
	for _, s := range globalSettings() {
		known[s.variable()] = true
	}
	for name, value := range env {
		if strings.HasPrefix(name, "AIVAULT_") && !known[name] {
			t.Errorf("%s is no variable of a setting", name)
		}
		switch name {
		case "AIVAULT_VAULT":
			_, err = naming.ParseLocation(value, func(string) (string, bool, error) { return "", false, nil })
		case "AIVAULT_CUSTODY":
			_, err = naming.ParseCustody(value)
		}
		if err != nil {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
	for _, name := range []string{"AIVAULT_VAULT", "AIVAULT_CUSTODY", "AIVAULT_IDENTITY", "AIVAULT_STATE_DIR", "AIVAULT_NO_INPUT"} {
		if env[name] == "" {
			t.Errorf("it does not say %s", name)
		}
	}
	return called
}

const scheduled = "decommission run"

// TestScheduleSystemd: the command of the unit. What systemd makes of the units is
// for systemd to say, in package integration.
func TestScheduleSystemd(t *testing.T) {
	env := map[string]string{}
	var command []string
	for line := range strings.Lines(schedule(t, "aivault-disposals.service")) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "ExecStart":
			command = strings.Fields(value)
		case "Environment":
			name, value, _ := strings.Cut(value, "=")
			env[name] = value
		}
	}
	if len(command) == 0 || filepath.Base(command[0]) != "aivault" {
		t.Fatalf("it starts %q", command)
	}
	if got := accepts(t, command[1:], env); got != scheduled {
		t.Errorf("it calls %q", got)
	}
}

func TestScheduleCron(t *testing.T) {
	env := map[string]string{}
	jobs := 0
	for line := range strings.Lines(schedule(t, "crontab")) {
		line = strings.TrimSuffix(line, "\n")
		switch name, value, assigned := strings.Cut(line, "="); {
		case line == "" || strings.HasPrefix(line, "#"):
		case assigned && regexp.MustCompile(`^[A-Z_]+$`).MatchString(name):
			env[name] = value
		default:
			jobs++
			fields := strings.Fields(line)
			checkCron(t, strings.Join(fields[:5], " "))
			if strings.Contains(line, "%") {
				t.Errorf("cron makes line breaks of %% in %q", line)
			}
			command := fields[5:]
			if i := slices.Index(command, ">>"); i > 0 {
				command = command[:i]
			}
			if filepath.Base(command[0]) != "aivault" {
				t.Errorf("it starts %q", command)
			}
			if got := accepts(t, command[1:], env); got != scheduled {
				t.Errorf("it calls %q", got)
			}
		}
	}
	if jobs != 1 {
		t.Errorf("%d jobs", jobs)
	}
}

// checkCron holds five fields to crontab(5), names of months and days aside.
func checkCron(t *testing.T, text string) {
	t.Helper()
	fields := strings.Fields(text)
	if len(fields) != 5 {
		t.Fatalf("%q has %d fields", text, len(fields))
	}
	for i, f := range fields {
		least, most := []int{0, 0, 1, 1, 0}[i], []int{59, 23, 31, 12, 7}[i]
		for part := range strings.SplitSeq(f, ",") {
			m := regexp.MustCompile(`^(\*|(\d+)(?:-(\d+))?)(?:/(\d+))?$`).FindStringSubmatch(part)
			if m == nil {
				t.Fatalf("%q: field %d is %q", text, i+1, f)
			}
			for _, number := range m[2:4] {
				if n, err := strconv.Atoi(number); number != "" && (err != nil || n < least || n > most) {
					t.Errorf("%q: field %d is %q: %d to %d are possible", text, i+1, f, least, most)
				}
			}
		}
	}
}

// cronJob is as much of the API's CronJob, batch/v1, as the example uses.
type cronJob struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   metadata `yaml:"metadata"`
	Spec       struct {
		Schedule    string `yaml:"schedule"`
		TimeZone    string `yaml:"timeZone"`
		Concurrency string `yaml:"concurrencyPolicy"`
		Deadline    int64  `yaml:"startingDeadlineSeconds"`
		Successful  int32  `yaml:"successfulJobsHistoryLimit"`
		Failed      int32  `yaml:"failedJobsHistoryLimit"`
		JobTemplate struct {
			Spec struct {
				BackoffLimit   int32 `yaml:"backoffLimit"`
				ActiveDeadline int64 `yaml:"activeDeadlineSeconds"`
				FailurePolicy  struct {
					Rules []struct {
						Action      string `yaml:"action"`
						OnExitCodes struct {
							ContainerName string  `yaml:"containerName"`
							Operator      string  `yaml:"operator"`
							Values        []int32 `yaml:"values"`
						} `yaml:"onExitCodes"`
					} `yaml:"rules"`
				} `yaml:"podFailurePolicy"`
				Template struct {
					Metadata metadata `yaml:"metadata"`
					Spec     pod      `yaml:"spec"`
				} `yaml:"template"`
			} `yaml:"spec"`
		} `yaml:"jobTemplate"`
	} `yaml:"spec"`
}

type metadata struct {
	Name   string            `yaml:"name"`
	Labels map[string]string `yaml:"labels"`
}

type pod struct {
	RestartPolicy string `yaml:"restartPolicy"`
	Automount     *bool  `yaml:"automountServiceAccountToken"`
	Security      struct {
		NonRoot bool  `yaml:"runAsNonRoot"`
		User    int64 `yaml:"runAsUser"`
		FSGroup int64 `yaml:"fsGroup"`
	} `yaml:"securityContext"`
	Containers []struct {
		Name    string   `yaml:"name"`
		Image   string   `yaml:"image"`
		Command []string `yaml:"command"`
		Args    []string `yaml:"args"`
		Env     []struct {
			Name  string `yaml:"name"`
			Value string `yaml:"value"`
		} `yaml:"env"`
		EnvFrom []struct {
			SecretRef metadata `yaml:"secretRef"`
		} `yaml:"envFrom"`
		Security struct {
			Escalation   *bool `yaml:"allowPrivilegeEscalation"`
			ReadOnlyRoot bool  `yaml:"readOnlyRootFilesystem"`
			Capabilities struct {
				Drop []string `yaml:"drop"`
			} `yaml:"capabilities"`
		} `yaml:"securityContext"`
		Resources struct {
			Requests map[string]string `yaml:"requests"`
			Limits   map[string]string `yaml:"limits"`
		} `yaml:"resources"`
		VolumeMounts []struct {
			Name      string `yaml:"name"`
			MountPath string `yaml:"mountPath"`
			ReadOnly  bool   `yaml:"readOnly"`
		} `yaml:"volumeMounts"`
	} `yaml:"containers"`
	Volumes []struct {
		Name   string `yaml:"name"`
		Secret *struct {
			SecretName  string `yaml:"secretName"`
			DefaultMode int32  `yaml:"defaultMode"`
		} `yaml:"secret"`
		Claim *struct {
			ClaimName string `yaml:"claimName"`
		} `yaml:"persistentVolumeClaim"`
	} `yaml:"volumes"`
}

// TestScheduleKubernetes reads the manifest strictly: an unknown or doubled field
// is an error, as for an API server with strict field validation.
func TestScheduleKubernetes(t *testing.T) {
	d := yaml.NewDecoder(strings.NewReader(schedule(t, "cronjob.yaml")))
	d.KnownFields(true)
	var job cronJob
	if err := d.Decode(&job); err != nil {
		t.Fatal(err)
	}
	if err := d.Decode(new(any)); err != io.EOF {
		t.Errorf("more than one document: %v", err)
	}
	checkCron(t, job.Spec.Schedule)
	spec := job.Spec.JobTemplate.Spec
	p := spec.Template.Spec
	if job.APIVersion != "batch/v1" || job.Kind != "CronJob" || !slices.Contains([]string{"Allow", "Forbid", "Replace"}, job.Spec.Concurrency) || p.RestartPolicy != "Never" || len(p.Containers) != 1 {
		t.Fatalf("%+v", job)
	}
	names := []string{job.Metadata.Name, p.Containers[0].Name}
	volumes := map[string]bool{}
	for _, v := range p.Volumes {
		names = append(names, v.Name)
		volumes[v.Name] = true
		if (v.Secret == nil) == (v.Claim == nil) {
			t.Errorf("volume %s is of no sort, or of two", v.Name)
		}
	}
	for _, name := range names {
		if len(name) > 52 || !regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`).MatchString(name) {
			t.Errorf("%q is no name", name)
		}
	}
	c := p.Containers[0]
	for _, m := range c.VolumeMounts {
		if !volumes[m.Name] || !filepath.IsAbs(m.MountPath) {
			t.Errorf("mounts %+v", m)
		}
	}
	for _, r := range spec.FailurePolicy.Rules {
		if r.OnExitCodes.ContainerName != c.Name || r.Action != "FailJob" || r.OnExitCodes.Operator != "In" || !slices.Equal(r.OnExitCodes.Values, []int32{codePartial}) {
			t.Errorf("%+v", r)
		}
	}
	env := map[string]string{}
	for _, e := range c.Env {
		env[e.Name] = e.Value
	}
	if got := accepts(t, c.Args, env); got != scheduled || !slices.Equal(c.Command, []string{"/aivault"}) {
		t.Errorf("it calls %q of %q", got, c.Command)
	}
}

// TestDisposalDocument: the command lines in docs/disposal.md are of commands, and
// with flags, that there are.
func TestDisposalDocument(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "disposal.md"))
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile("`aivault ([^`]+)`").FindAllSubmatch(doc, -1)
	if len(lines) < 12 {
		t.Fatalf("found only %d command lines", len(lines))
	}
	root := program()
	for _, m := range lines {
		words := strings.Fields(regexp.MustCompile(`'[^']*'`).ReplaceAllString(strings.NewReplacer("[", "", "]", "").Replace(string(m[1])), "TEXT"))
		line, err := argv.Normalise(root.tree(), words)
		if err == nil {
			_, err = root.find(line.Path)
		}
		if err != nil {
			t.Errorf("aivault %s: %v", m[1], err)
		}
	}
}
