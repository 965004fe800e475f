package vault

import "testing"

func TestBelow(t *testing.T) {
	for _, c := range []struct {
		url, top string
		want     bool
	}{
		{"https://hub.example/set", "https://hub.example/set", true},
		{"https://hub.example/set/part/1.csv", "https://hub.example/set", true},
		{"https://hub.example/set/", "https://hub.example/set", true},
		{"https://hub.example/set", "https://hub.example/set/", true},
		{"HTTPS://Hub.Example/set#top", "https://hub.example/set", true},
		{"https://hub.example/set", "https://hub.example", true},
		{"https://hub.example/set?rev=1", "https://hub.example/set", true},
		{"https://hub.example/set?rev=1", "https://hub.example/set?rev=1", true},
		{"https://hub.example/set?rev=2", "https://hub.example/set?rev=1", false},
		{"https://hub.example/settings", "https://hub.example/set", false},
		{"https://hub.example/Set", "https://hub.example/set", false},
		{"https://hub.example/", "https://hub.example/set", false},
		{"http://hub.example/set", "https://hub.example/set", false},
		{"https://hub.example:8443/set", "https://hub.example/set", false},
		{"https://hub.example/a%2Fb", "https://hub.example/a", false},
		{"urn:isbn:1", "urn:isbn:1", true},
		{"urn:isbn:12", "urn:isbn:1", false},
		{"%zz", "%zz", true},
		{"%zz/a", "%zz", false},
	} {
		if got := below(c.url, c.top); got != c.want {
			t.Errorf("%q below %q: %v", c.url, c.top, got)
		}
	}
}
