package acceptance

import (
	"os/exec"
	"strings"
)

// project is the compose project of one session.
type project struct{ name string }

// label is the label of everything in the project.
func (p project) label() string { return "com.docker.compose.project=" + p.name }

// logs returns the output of the containers, for failed sessions.
func (p project) logs() string {
	var b strings.Builder
	for _, name := range list("container", "ls", "-a", "--filter", "label="+p.label(), "--format",
		"{{.Names}}") {
		out, _ := exec.Command("docker", "logs", name).CombinedOutput()
		b.WriteString("[" + name + "]\n" + string(out))
	}
	return b.String()
}

// remove removes everything that is left of the project.
func (p project) remove() {
	// In this order, because containers use the others.
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

// list returns the words that docker prints.
func list(args ...string) []string {
	out, err := exec.Command("docker", args...).Output()
	if err != nil {
		return nil
	}
	return strings.Fields(string(out))
}
