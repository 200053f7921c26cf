package acceptance

import (
	"os/exec"
	"strings"
)

// project is what compose makes for one session, as the engine knows it.
type project struct{ name string }

// label is what compose, and this package, mark everything of the project with.
func (p project) label() string { return "com.docker.compose.project=" + p.name }

// logs is what the containers printed, for a session that failed.
func (p project) logs() string {
	var b strings.Builder
	for _, name := range list("container", "ls", "-a", "--filter", "label="+p.label(), "--format", "{{.Names}}") {
		out, _ := exec.Command("docker", "logs", name).CombinedOutput()
		b.WriteString("[" + name + "]\n" + string(out))
	}
	return b.String()
}

// remove takes away all that is left, whatever state a session ended in.
func (p project) remove() {
	// in this order: none goes while a container has it
	for _, kind := range []string{"container", "volume", "network"} {
		args := []string{kind, "ls", "-q", "--filter", "label=" + p.label()}
		rm := []string{kind, "rm"}
		if kind == "container" {
			args, rm = append(args, "-a"), append(rm, "-f", "-v")
		}
		if names := list(args...); len(names) > 0 {
			exec.Command("docker", append(rm, names...)...).Run()
		}
	}
}

// list is the lines that docker prints.
func list(args ...string) []string {
	out, err := exec.Command("docker", args...).Output()
	if err != nil {
		return nil
	}
	return strings.Fields(string(out))
}
