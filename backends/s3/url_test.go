package s3

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseURL(t *testing.T) {
	for text, want := range map[string]Config{
		"s3://bucket":          {Bucket: "bucket"},
		"s3://bucket/":         {Bucket: "bucket"},
		"s3://my.bucket-1/a/B": {Bucket: "my.bucket-1", Prefix: "a/B"},
		"s3://bucket/a/?":      {Bucket: "bucket", Prefix: "a"},
		"s3://bucket/p?endpoint=localhost:9000&region=eu-west-1&insecure=1&path-style=1&profile=work&role-arn=arn:aws:iam::1:role/x": {
			Bucket: "bucket", Prefix: "p", Endpoint: "localhost:9000", Region: "eu-west-1", Insecure: true, Style: PathStyle,
			Profile: "work", RoleARN: "arn:aws:iam::1:role/x"},
		"s3://bucket?endpoint=[::1]:9000":                  {Bucket: "bucket", Endpoint: "[::1]:9000"},
		"s3://bucket?endpoint=s3.example.com&path-style=0": {Bucket: "bucket", Endpoint: "s3.example.com", Style: VirtualHost},
		"s3://bucket?endpoint=10.0.0.1&insecure=false":     {Bucket: "bucket", Endpoint: "10.0.0.1"},
		"s3://bucket?role-arn=arn%3Aaws%3Aiam::1:role%2Fx": {Bucket: "bucket", RoleARN: "arn:aws:iam::1:role/x"},
	} {
		got, err := ParseURL(text)
		if err != nil || got.URL() != want.URL() || got.Bucket != want.Bucket || got.Prefix != want.Prefix || got.Style != want.Style || got.Insecure != want.Insecure {
			t.Errorf("%s: %s, %v", text, got.URL(), err)
		}
	}
}

func TestParseURLRefuses(t *testing.T) {
	for text, why := range map[string]string{
		"":                             "s3://",
		"http://bucket":                "s3://",
		"s3:bucket":                    "s3://",
		"s3://":                        "3 to 63",
		"s3://ab":                      "3 to 63",
		"s3://Bucket":                  "a-z",
		"s3://under_score":             "a-z",
		"s3://-bucket":                 "begin and end",
		"s3://bu..cket":                "begin and end",
		"s3://bucket:9000/p":           "a-z",
		"s3://AKIA:topsecret@bucket/p": "credentials",
		"s3://bucket/a@b":              "credentials",
		"s3://bucket//a":               "empty part",
		"s3://bucket/a/../b":           "dots",
		"s3://bucket/a b":              "letters",
		"s3://bucket/a%2fb":            "letters",
		"s3://bucket/" + strings.Repeat("x", maxPrefix+1): "longer than",
		"s3://bucket#x":                             "a-z",
		"s3://bucket?region=r#x":                    "name=value",
		"s3://bucket?region=%zz":                    "name=value",
		"s3://bucket?region=a;b":                    "name=value",
		"s3://bucket?region=a&region=b":             "twice",
		"s3://bucket?region=":                       "empty",
		"s3://bucket?region":                        "empty",
		"s3://bucket?region=a/b":                    "region",
		"s3://bucket?Region=a":                      "unknown parameter",
		"s3://bucket?access-key=topsecret":          "unknown parameter",
		"s3://bucket?verify=0":                      "unknown parameter",
		"s3://bucket?insecure=1":                    "HTTPS",
		"s3://bucket?insecure=maybe":                "1 or 0",
		"s3://bucket?endpoint=http://x":             "without a scheme",
		"s3://bucket?endpoint=x/y":                  "host or host:port",
		"s3://bucket?endpoint=x:0":                  "port",
		"s3://bucket?endpoint=x:99999":              "port",
		"s3://bucket?endpoint=x:080":                "port",
		"s3://bucket?endpoint=k:topsecret@x:1":      "host",
		"s3://bucket?endpoint=::1":                  "host",
		"s3://bucket?endpoint=[::1":                 "host",
		"s3://bucket?endpoint=[1.2.3.4]":            "IPv6",
		"s3://bucket?endpoint=[fe80::1%25eth0]":     "IPv6",
		"s3://bucket?endpoint=1.2.3.4&path-style=0": "path-style=1",
		"s3://bucket?endpoint=[::1]:9&path-style=0": "path-style=1",
		"s3://bucket?profile=a%0ab":                 "control",
	} {
		c, err := ParseURL(text)
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %+v, %v; want an error with %q", text, c, err, why)
		} else if strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: the error repeats a secret: %v", text, err)
		}
	}
}

func TestURLRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Config{
			Bucket:   rapid.StringMatching(`[a-z0-9][a-z0-9-]{1,20}[a-z0-9](\.[a-z0-9]{1,5})?`).Draw(t, "bucket"),
			Prefix:   rapid.StringMatching(`([a-zA-Z0-9_-]{1,4}/)?[a-zA-Z0-9_.-]{0,4}[a-z]`).Draw(t, "prefix"),
			Endpoint: rapid.StringMatching(`([a-z0-9-]{1,8}(\.[a-z]{1,3})?(:[1-9][0-9]{0,3})?|\[fd00::[1-9]\](:9000)?)`).Draw(t, "endpoint"),
			Region:   rapid.StringMatching(`[a-z]{0,3}(-[a-z]{3}-[0-9])?`).Draw(t, "region"),
			Insecure: rapid.Bool().Draw(t, "insecure"),
			Profile:  rapid.StringMatching(`[ -~äé]{0,6}`).Draw(t, "profile"),
			RoleARN:  rapid.StringMatching(`(arn:aws:iam::[0-9]{1,4}:role/[a-z+=,.@-]{1,8})?`).Draw(t, "role"),
		}
		if rapid.Bool().Draw(t, "by path") {
			c.Style = PathStyle
		}
		got, err := ParseURL(c.URL())
		if err != nil || got.URL() != c.URL() || got.Profile != c.Profile || got.RoleARN != c.RoleARN || got.Endpoint != c.Endpoint || got.Prefix != c.Prefix {
			t.Fatalf("%s became %s, %v", c.URL(), got.URL(), err)
		}
	})
}

func FuzzParseURL(f *testing.F) {
	f.Add("s3://bucket/prefix?endpoint=host:1&region=r&insecure=1&path-style=1&profile=NAME&role-arn=ARN")
	f.Add("s3://a:b@bucket")
	f.Add("s3://bucket?endpoint=[::1]:1&path-style=0")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseURL(text)
		if err != nil {
			return
		}
		if strings.Contains(strings.SplitN(text, "?", 2)[0], "@") {
			t.Fatalf("credentials were accepted: %q", text)
		}
		again, err := ParseURL(c.URL())
		if err != nil || again.URL() != c.URL() {
			t.Fatalf("%q is %q is %q, %v", text, c.URL(), again.URL(), err)
		}
	})
}

func TestBaseURL(t *testing.T) {
	for _, test := range []struct{ url, region, want string }{
		{"s3://bucket", "eu-west-1", "https://bucket.s3.eu-west-1.amazonaws.com"},
		{"s3://my.bucket", "eu-west-1", "https://s3.eu-west-1.amazonaws.com/my.bucket"},
		{"s3://bucket?path-style=1", "eu-west-1", "https://s3.eu-west-1.amazonaws.com/bucket"},
		{"s3://bucket", "cn-north-1", "https://bucket.s3.cn-north-1.amazonaws.com.cn"},
		{"s3://bucket?endpoint=h:9000", "r", "https://h:9000/bucket"},
		{"s3://bucket?endpoint=h:443", "r", "https://h/bucket"},
		{"s3://bucket?endpoint=h:80", "r", "https://h:80/bucket"},
		{"s3://bucket?endpoint=h:80&insecure=1", "r", "http://h/bucket"},
		{"s3://bucket?endpoint=[::1]:80&insecure=1", "r", "http://[::1]/bucket"},
		{"s3://bucket?endpoint=h.example&path-style=0", "r", "https://bucket.h.example/"},
	} {
		c, err := ParseURL(test.url)
		if err != nil {
			t.Fatal(err)
		}
		c.Region = test.region
		if got := c.baseURL(); got != strings.TrimSuffix(test.want, "/") {
			t.Errorf("%s: %s, want %s", test.url, got, test.want)
		}
	}
}
