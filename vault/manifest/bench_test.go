package manifest

import "testing"

func BenchmarkDecodePart(b *testing.B) {
	for name, files := range map[string][]File{"small": smallFiles(1024), "large": {largeFile("x", 1024)}} {
		part := build(b, SecretFrom(fixed(3, "key")), files)[0]
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(part.Plain)))
			for b.Loop() {
				if _, err := DecodePart(part.First, 0, part.Plain); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
