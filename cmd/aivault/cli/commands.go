package cli

// commands is every command, in the order in which help lists them.
func commands() []*command {
	return []*command{
		demoCommand(),
		initCommand(),
		joinCommand(),
		identityCommand(),
		memberCommand(),
		groupCommand(),
		registerCommand(),
		grantCommand(),
		revokeCommand(),
		pushCommand(),
		pullCommand(),
		listCommand(),
		showCommand(),
		historyCommand(),
		diffCommand(),
		verifyCommand(),
		attestCommand(),
		quarantineCommand(),
		holdCommand(),
		policyCommand(),
		decommissionCommand(),
		certificateCommand(),
		custodyCommand(),
		transferCommand(),
		auditCommand(),
		gcCommand(),
		doctorCommand(),
		configCommand(),
		completionCommand(),
		helpCommand(),
		versionCommand(),
	}
}
