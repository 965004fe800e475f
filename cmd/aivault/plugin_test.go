package main

import (
	"bytes"
	"context"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/dir"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/local"
	"github.com/aivault/aivault/plugins/sdk"
	"github.com/aivault/aivault/vault/scan"
	"github.com/aivault/aivault/vault/scan/scantest"
)

func servesFiles() {
	sdk.ServeStore("1.0.0", func(_ context.Context, c sdk.Config) (backends.Store, error) {
		if c.Create {
			return dir.Create(c.Text, time.Now)
		}
		return dir.Open(c.Text, time.Now)
	})
}

func openKeys(c sdk.Config) (custody.Keeper, error) {
	if c.Create {
		return local.Init(c.Text, time.Now)
	}
	return local.Open(c.Text, time.Now)
}

func servesKeys() {
	sdk.ServeKeeper("1.0.0", func(_ context.Context, c sdk.Config) (custody.Keeper, error) { return openKeys(c) })
}

func servesLies() {
	sdk.ServeKeeper("1.0.0", func(_ context.Context, c sdk.Config) (custody.Keeper, error) {
		k, err := openKeys(c)
		return liar{k}, err
	})
}

// liar claims destructions that did not happen.
type liar struct{ custody.Keeper }

func (liar) Destroy(_ context.Context, ref custody.KeyRef) (custody.Destruction, error) {
	return custody.Destruction{Ref: ref, State: custody.Destroyed, At: time.Now()}, nil
}

// servesWords serves a scanner that fears some words.
func servesWords() {
	sdk.ServeScanner("1.0.0", func(context.Context, sdk.Config) (scan.Scanner, error) {
		return scantest.Double{Judge: func(path string, content []byte) []scan.Finding {
			switch {
			case bytes.Contains(content, []byte("malware")):
				return []scan.Finding{{Path: path, Rule: "word", Severity: scan.Danger, Message: "it says malware"}}
			case bytes.Contains(content, []byte("odd")):
				return []scan.Finding{{Path: path, Rule: "word", Severity: scan.Warning, Message: "it is odd"}}
			case bytes.Contains(content, []byte("crash")):
				panic("it crashed")
			case bytes.Contains(content, []byte("slow")):
				select {}
			}
			return nil
		}}, nil
	})
}
