package acceptance

import (
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestComposeFiles checks that every compose file works with the installed compose clients without
// any settings, and publishes the ports that the README names.
func TestComposeFiles(t *testing.T) {
	needImages(t)
	main, err := root()
	if err != nil {
		t.Fatal(err)
	}
	for client, command := range map[string][]string{"docker-compose": {"docker-compose"},
		"plugin": {"docker", "compose"}} {
		t.Run(client, func(t *testing.T) {
			if err := exec.Command(command[0], append(command[1:], "version")...).Run(); err != nil {
				t.Skipf("no %v here", command)
			}
			for _, file := range []string{
				"docker-compose.yml", "examples/classic/node/docker-compose.yml",
				"examples/classic/watch/docker-compose.yml", "examples/classic/dotnet/docker-compose.yml",
			} {
				args := append(command[1:], "-f", filepath.Join(main, file), "--profile", "external", "config")
				cmd := exec.Command(command[0], args...)
				cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Errorf("%s: %v: %s", file, err, out)
				}
				for _, port := range []string{"5000", "2222"} {
					if !regexp.MustCompile(`published: "?` + port + `\b`).Match(out) {
						t.Errorf("%s does not publish %s:\n%s", file, port, out)
					}
				}
			}
		})
	}
}

// TestDotnetProject checks as much of the .NET project as is possible without an SDK: its file is
// XML of the right kind.
func TestDotnetProject(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "examples", "classic", "dotnet",
		"hello.csproj"))
	if err != nil {
		t.Fatal(err)
	}
	var project struct {
		XMLName xml.Name `xml:"Project"`
		SDK     string   `xml:"Sdk,attr"`
		Target  string   `xml:"PropertyGroup>TargetFramework"`
	}
	if err := xml.Unmarshal(content, &project); err != nil {
		t.Fatal(err)
	}
	target := regexp.MustCompile(`^net\d+\.0$`)
	if project.SDK != "Microsoft.NET.Sdk.Web" || !target.MatchString(project.Target) {
		t.Errorf("%+v", project)
	}
}
