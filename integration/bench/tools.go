package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// tool is one of those that are compared.
type tool struct {
	name  string
	id    string // names its places
	limit bool   // it seals nothing

	// prepare makes an empty place to push to. It is not measured. May be nil.
	prepare func(try) error
	push    func(try) []pipeline
	pull    func(try) []pipeline   // into t.dest, which exists; nil: it only reads what it would push
	place   func(try) (dir string) // holds what is stored; nil: nothing is
}

// try is a tool at work on a data set, once.
type try struct {
	id   string // names a place of its own
	set  *dataset
	dest string // where it pulls to
}

// toolIDs are the ids of all tools.
func toolIDs() []string {
	return []string{"aivault", "aivault-none", "restic", "crypt", "age", "copy", "cp", "sha256", "sha256sum"}
}

// tools returns all there are, in the order in which they take turns.
func (l *lab) tools() []tool {
	out := []tool{l.aivaultTool("aivault", "aivault")}
	if l.encodes {
		out = append(out, l.aivaultTool("aivault, encoding off", "aivault-none", "--encode", "none"))
	}
	return append(out, l.resticTool(), l.cryptTool(), l.ageTool(), l.copyTool(), l.cpTool(), l.hashTool(), l.sha256sumTool())
}

// bucket is the directory of the server's that holds a bucket.
func (l *lab) bucket(t try) string { return filepath.Join(l.server.DataDir, t.id) }

func (l *lab) makeBucket(t try) error {
	l.server.MakeBucket(l.t, t.id, false, false)
	return nil
}

// aivaultTool is a vault of its own, with its keeper beside it.
func (l *lab) aivaultTool(name, id string, pushFlags ...string) tool {
	env := func(t try) []string {
		home := l.path("home-" + t.id)
		return append(l.env(home), append(l.server.Environ(""), "AIVAULT_VAULT="+l.server.URL(t.id, ""),
			"AIVAULT_CUSTODY=local:"+filepath.Join(home, "keeper"), "AIVAULT_NO_INPUT=true", "AIVAULT_PROGRESS=none")...)
	}
	return tool{
		name: name, id: id, place: l.bucket,
		prepare: func(t try) error {
			if err := l.makeBucket(t); err != nil {
				return err
			}
			return l.quietly(alone(l.dir, env(t), l.aivault, "init", l.server.URL(t.id, "")))
		},
		push: func(t try) []pipeline {
			return alone(l.dir, env(t), append([]string{l.aivault, "push", "bench/model", t.set.dir, "--quiet"}, pushFlags...)...)
		},
		pull: func(t try) []pipeline {
			return alone(l.dir, env(t), l.aivault, "pull", "bench/model", t.dest, "--quiet")
		},
	}
}

func (l *lab) resticTool() tool {
	run := func(t try, dir string, args ...string) []pipeline {
		env := append(l.env(l.path("home-"+t.id)), l.server.Environ("")...)
		env = append(env, "RESTIC_PASSWORD=bench", "RESTIC_REPOSITORY=s3:http://"+l.server.Endpoint+"/"+t.id)
		return alone(dir, env, append([]string{"restic", "--quiet"}, args...)...)
	}
	return tool{
		name: "restic", id: "restic", place: l.bucket,
		prepare: func(t try) error {
			if err := l.makeBucket(t); err != nil {
				return err
			}
			return l.quietly(run(t, l.dir, "init"))
		},
		push: func(t try) []pipeline { return run(t, t.set.dir, "backup", ".") },
		pull: func(t try) []pipeline { return run(t, l.dir, "restore", "latest", "--target", t.dest) },
	}
}

// rclone is a command of rclone's. s3: is the server, crypt: a bucket with what is sealed.
func (l *lab) rclone(t try, args ...string) command {
	env := append(l.env(l.path("home-"+t.id)), "RCLONE_CONFIG="+l.path("rclone.conf"),
		"RCLONE_CONFIG_S3_TYPE=s3", "RCLONE_CONFIG_S3_PROVIDER=Other", "RCLONE_CONFIG_S3_FORCE_PATH_STYLE=true",
		"RCLONE_CONFIG_S3_ENDPOINT=http://"+l.server.Endpoint, "RCLONE_CONFIG_S3_NO_CHECK_BUCKET=true",
		"RCLONE_CONFIG_S3_ACCESS_KEY_ID="+l.server.AccessKey, "RCLONE_CONFIG_S3_SECRET_ACCESS_KEY="+l.server.SecretKey,
		"RCLONE_CONFIG_CRYPT_TYPE=crypt", "RCLONE_CONFIG_CRYPT_REMOTE=s3:"+t.id, "RCLONE_CONFIG_CRYPT_PASSWORD="+l.obscured)
	return command{append([]string{l.rclonePath, "--quiet"}, args...), l.dir, env}
}

func (l *lab) cryptTool() tool {
	return tool{
		name: "rclone crypt", id: "crypt", place: l.bucket, prepare: l.makeBucket,
		push: func(t try) []pipeline {
			return []pipeline{{commands: []command{l.rclone(t, "copy", t.set.dir, "crypt:")}}}
		},
		pull: func(t try) []pipeline {
			return []pipeline{{commands: []command{l.rclone(t, "copy", "crypt:", t.dest)}}}
		},
	}
}

// copyTool is how fast the server takes and gives what is not sealed.
func (l *lab) copyTool() tool {
	return tool{
		name: "rclone, unsealed", id: "copy", limit: true, place: l.bucket, prepare: l.makeBucket,
		push: func(t try) []pipeline {
			return []pipeline{{commands: []command{l.rclone(t, "copy", t.set.dir, "s3:"+t.id)}}}
		},
		pull: func(t try) []pipeline {
			return []pipeline{{commands: []command{l.rclone(t, "copy", "s3:"+t.id, t.dest)}}}
		},
	}
}

// ageTool seals with age what rclone stores, file by file, both at work at once.
func (l *lab) ageTool() tool {
	each := func(t try, do func(name string) pipeline) []pipeline {
		var out []pipeline
		for _, name := range t.set.files {
			out = append(out, do(name))
		}
		return out
	}
	return tool{
		name: "age + copy", id: "age", place: l.bucket, prepare: l.makeBucket,
		push: func(t try) []pipeline {
			return each(t, func(name string) pipeline {
				seal := command{[]string{l.age, "--encrypt", "--recipient", l.recipient, filepath.Join(t.set.dir, name)}, l.dir, l.env(l.dir)}
				return pipeline{commands: []command{seal, l.rclone(t, "rcat", "s3:"+t.id+"/"+name+".age")}}
			})
		},
		pull: func(t try) []pipeline {
			return each(t, func(name string) pipeline {
				open := command{[]string{l.age, "--decrypt", "--identity", l.identity}, l.dir, l.env(l.dir)}
				return pipeline{commands: []command{l.rclone(t, "cat", "s3:"+t.id+"/"+name+".age"), open}, output: filepath.Join(t.dest, name)}
			})
		},
	}
}

func (l *lab) cpTool() tool {
	place := func(t try) string { return l.path(t.id) }
	return tool{
		name: "cp", id: "cp", limit: true, place: place,
		push: func(t try) []pipeline { return alone(l.dir, l.env(l.dir), "cp", "-R", t.set.dir, place(t)) },
		pull: func(t try) []pipeline { return alone(l.dir, l.env(l.dir), "cp", "-R", place(t)+"/.", t.dest) },
	}
}

func (l *lab) hashTool() tool {
	return tool{
		name: "SHA-256 (Go, one core)", id: "sha256", limit: true,
		push: func(t try) []pipeline { return alone(l.dir, l.env(l.dir), l.self, "step", "hash", t.set.dir) },
	}
}

func (l *lab) sha256sumTool() tool {
	return tool{
		name: "sha256sum (coreutils)", id: "sha256sum", limit: true,
		push: func(t try) []pipeline {
			return alone(t.set.dir, l.env(l.dir), append([]string{"sha256sum", "--"}, t.set.files...)...)
		},
	}
}

// versions names what was compared, as each calls itself.
func (l *lab) versions(uses func(tool string) bool) ([]string, error) {
	var out []string
	for _, c := range []struct{ tool, program, ask string }{
		{"restic", "restic", "version"}, {"crypt", l.rclonePath, "version"}, {"age", l.age, "--version"}, {"cp", "cp", "--version"},
	} {
		if !uses(c.tool) {
			continue
		}
		text, err := l.output(c.program, c.ask)
		if err != nil {
			return nil, err
		}
		line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
		if c.tool == "age" {
			line = "age " + line
		}
		out = append(out, line)
	}
	return append(out, fmt.Sprintf("versitygw %s as the S3 server", gatewayVersion)), nil
}
