package cli

func policyCommand() *command {
	return &command{
		name: "policy", usage: "what the members agreed on",
		example: "aivault policy test --at 2027-06-30",
		sub:     []*command{policyTestCommand()},
	}
}
