package builder

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"paas/builder/cmdline"
	"paas/builder/tree"
)

var java = language{kind: "java", detect: func(root *os.Root) (project, error) {
	for _, builder := range javaBuilders {
		for _, file := range builder.files {
			if !tree.IsFile(root, file) {
				continue
			}
			requires, err := javaRequirements(root)
			return &javaApp{
				javaBuilder: builder,
				wrapped:     tree.IsFile(root, builder.wrapper),
				requires:    requires,
			}, err
		}
	}
	return nil, nil
}}

// javaBuilder is a build tool for Java.
type javaBuilder struct {
	files   []string // its presence means this tool
	wrapper string   // a script in the tree that downloads the right version of the tool
	tool    tool
	argv    []string // arguments: build everything, run no tests
	jars    string   // the folder that it writes jars to
	env     func(b *build) map[string]string
	hint    string // how to name the main class
}

var javaBuilders = []javaBuilder{
	{
		files: []string{"pom.xml"}, wrapper: "mvnw", jars: "target",
		tool: tool{
			name: "mvn",
			install: "Maven (https://maven.apache.org, or the package maven), or commit " +
				"its wrapper: mvn wrapper:wrapper",
		},
		argv: []string{"--batch-mode", "--no-transfer-progress", "-DskipTests", "package"},
		env: func(b *build) map[string]string {
			return map[string]string{"MAVEN_USER_HOME": b.cache("maven")} // for the wrapper
		},
		hint: "name it as mainClass in maven-jar-plugin's configuration, or use " +
			"spring-boot-maven-plugin",
	},
	{
		files: []string{
			"build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts",
		},
		wrapper: "gradlew", jars: "build/libs",
		tool: tool{
			name: "gradle",
			install: "Gradle (https://gradle.org, or the package gradle), or commit its " +
				"wrapper: gradle wrapper",
		},
		argv: []string{"--no-daemon", "--console=plain", "--build-cache", "assemble"},
		env: func(b *build) map[string]string {
			return map[string]string{"GRADLE_USER_HOME": b.cache("gradle")}
		},
		hint: "name it in build.gradle: jar { manifest { attributes 'Main-Class': '...' } }, or " +
			"use Spring Boot's plugin",
	},
}

// javaApp is a tree with a Maven or Gradle project at its top.
type javaApp struct {
	javaBuilder
	wrapped  bool // has a wrapper script
	requires []requirement
}

func (j *javaApp) tools(*plan) []tool {
	const install = "a JDK (https://adoptium.net, or the package default-jdk-headless)"
	tools := []tool{
		{name: "java", install: install},
		{name: "javac", install: install, versionArgs: []string{"-version"}, requires: j.requires},
	}
	if !j.wrapped {
		tools = append(tools, j.tool)
	}
	return tools
}

// web is a placeholder: [javaApp.build] sets the command line.
func (*javaApp) web(*os.Root) (string, error) { return "java -jar", nil }

// build makes the jars and finds the one that is the app.
func (j *javaApp) build(ctx context.Context, b *build) error {
	b.step("java")
	argv := j.argv
	if j.tool.name == "mvn" {
		argv = append([]string{"-Dmaven.repo.local=" + b.cache("maven", "repository")}, argv...)
	}
	name := j.tool.name
	if j.wrapped {
		if err := windowsScript(b.tree, j.wrapper); err != nil {
			return err
		}
		name = "./" + j.wrapper
		argv = append([]string{"sh", name}, argv...) // sh: a commit from Windows may lack the mode
	} else {
		argv = append([]string{name}, argv...)
	}
	if err := b.run(ctx, name+" "+j.argv[len(j.argv)-1], cmdline.With(b.env, j.env(b)),
		argv...); err != nil {
		return err
	}
	if b.plan.hasWord(j.tool.name) || b.plan.hasWord(j.wrapper) || b.plan.hasWord("./"+j.wrapper) {
		if err := j.setEnv(ctx, b); err != nil {
			return err
		}
	}
	if !b.plan.runs("java") {
		return nil
	}
	jar, err := j.program(b.tree)
	if err != nil {
		return err
	}
	// Spring reads the port from server.port, others from $PORT
	b.plan.processes["web"] = "java -Dserver.port=$PORT $JAVA_OPTS -jar " + cmdline.Quote(jar)
	return nil
}

// setEnv lets processes that run the tool use what the build has downloaded, in a copy that they can
// write to. Maven gets hard links: it replaces files. Gradle also writes into some.
func (j *javaApp) setEnv(ctx context.Context, b *build) error {
	own, err := b.output("java")
	if err != nil {
		return err
	}
	if j.tool.name == "gradle" {
		b.setEnv("GRADLE_USER_HOME", filepath.Join(own, "gradle"))
		return clone(ctx, b.cache("gradle"), filepath.Join(own, "gradle"), false)
	}
	b.setEnv("MAVEN_USER_HOME", b.cache("maven"))
	b.setEnv("MAVEN_OPTS", "-Dmaven.repo.local="+filepath.Join(own, "repository"))
	return clone(ctx, b.cache("maven", "repository"), filepath.Join(own, "repository"), true)
}

// program returns the jar to run.
func (j *javaApp) program(root *os.Root) (string, error) {
	jars, err := runnableJars(root, j.jars)
	switch {
	case err != nil:
		return "", err
	case len(jars) == 0:
		return "", fmt.Errorf("no jar in %s names a main class (Main-Class); %s", j.jars, j.hint)
	case len(jars) > 1:
		return "", noWebProcess(fmt.Sprintf("%d runnable jars", len(jars)), "java -jar "+jars[0])
	}
	return jars[0], nil
}

var javaRelease = regexp.MustCompile(`(?m)^\s*java\.runtime\.version\s*[=:]\s*(\S+)\s*$`)

// javaRequirements reads system.properties, as Heroku does, or .java-version, as jenv does.
func javaRequirements(root *os.Root) ([]requirement, error) {
	content, err := tree.ReadIf(root, "system.properties", 64<<10)
	if err != nil {
		return nil, err
	}
	if found := javaRelease.FindSubmatch(content); found != nil {
		return javaRequirement("java.runtime.version in system.properties", string(found[1]))
	}
	content, err = tree.ReadIf(root, ".java-version", 4<<10)
	if content == nil || err != nil {
		return nil, err
	}
	return javaRequirement(".java-version", string(tree.Text(content)))
}

var javaNumber = regexp.MustCompile(`^(?:[A-Za-z]+-)?(?:1\.)?(\d{1,3})(?:[.+_].*)?$`)

func javaRequirement(source, text string) ([]requirement, error) {
	text = strings.TrimSpace(text)
	number := javaNumber.FindStringSubmatch(text) // temurin-17.0.2, 1.8, 21
	if number == nil {
		return nil, fmt.Errorf("%s: %.40q is not a version; write a number such as 21",
			source, text)
	}
	major, digits := number[1], 1
	if major == "8" { // its own name for itself is 1.8.0_392
		major, digits = "1.8", 2
	}
	r, err := atLeast(source, major, digits)
	r.text = text
	return []requirement{r}, err
}
