package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/aivault/aivault/vault"
)

// channelMetrics is the text of a Prometheus textfile about the channels of a
// vault: names are of characters that need no escaping.
func channelMetrics(r *vault.DoctorReport, now time.Time) func(io.Writer) {
	return func(w io.Writer) {
		without, bad := 0, 0
		rows := func(name, help string, value func(vault.Summary, string) bool) {
			fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
			for _, s := range r.Artefacts {
				for _, channel := range slices.Sorted(maps.Keys(s.Channels)) {
					if s.State == "live" {
						n := 0
						if value(s, channel) {
							n = 1
						}
						fmt.Fprintf(w, "%s{artefact=%q,channel=%q} %d\n", name, s.Artefact, channel, n)
					}
				}
			}
		}
		rows("aivault_channel_fallback", "Whether the channel has something known good to fall back to.", func(s vault.Summary, channel string) bool {
			ok := s.Fallbacks[channel] > 0
			if !ok {
				without++
			}
			return ok
		})
		rows("aivault_channel_known_good", "Whether what the channel points to is known good, as far as journals tell.", func(s vault.Summary, channel string) bool {
			ok := s.Faults[channel] == ""
			if !ok {
				bad++
			}
			return ok
		})
		gauge := func(name, help string, value any) {
			fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s gauge\n%s %v\n", name, help, name, name, value)
		}
		fit := 0
		if r.Fit {
			fit = 1
		}
		gauge("aivault_channels_without_fallback", "Channels that have nothing known good to fall back to.", without)
		gauge("aivault_channels_not_known_good", "Channels that point to what is not known good.", bad)
		gauge("aivault_doctor_fit", "Whether storage and keeper keep the promises of a vault.", fit)
		gauge("aivault_doctor_timestamp_seconds", "When the last examination ended.", now.Unix())
	}
}
