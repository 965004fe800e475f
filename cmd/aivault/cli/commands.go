package cli

// commands is every command, in the order in which help lists them.
func commands() []*command {
	return []*command{
		demoCommand(),
		initCommand(),
		joinCommand(),
		identityCommand(),
		registerCommand(),
		pushCommand(),
		pullCommand(),
		listCommand(),
		showCommand(),
		historyCommand(),
		verifyCommand(),
		holdCommand(),
		policyCommand(),
		decommissionCommand(),
		certificateCommand(),
		auditCommand(),
		gcCommand(),
		doctorCommand(),
		configCommand(),
		completionCommand(),
		helpCommand(),
		versionCommand(),
	}
}
