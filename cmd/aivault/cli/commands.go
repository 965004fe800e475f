package cli

// commands is every command, in the order in which help lists them.
func commands() []*command {
	return []*command{
		identityCommand(),
		configCommand(),
		completionCommand(),
		helpCommand(),
		versionCommand(),
	}
}
