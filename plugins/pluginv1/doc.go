// Package pluginv1 is the generated code of aivault.plugin.v1: the messages that
// cross between aivault and a plugin. Its protocol is plugins/PROTOCOL.md. After
// a change to a .proto file, go test ./plugins/pluginv1 -update generates it anew.
package pluginv1
