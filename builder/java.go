package builder

import (
	"context"
	"fmt"
	"os"
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
			wishes, err := javaWishes(root)
			return &javaApp{javaBuilder: builder, wrapped: tree.IsFile(root, builder.wrapper), wishes: wishes}, err
		}
	}
	return nil, nil
}}

// javaBuilder is a tool that builds Java's projects.
type javaBuilder struct {
	files   []string // by which it is recognised
	wrapper string   // a script in the tree that brings the tool in the right version
	tool    tool
	argv    []string // after the tool's name: everything but the tests
	jars    string   // the folder that it makes jars in
	env     func(b *build) map[string]string
	where   string // how to say which class is the program
}

var javaBuilders = []javaBuilder{
	{
		files: []string{"pom.xml"}, wrapper: "mvnw", jars: "target",
		tool: tool{name: "mvn", install: "install Maven (https://maven.apache.org, or the package maven), or commit its wrapper: mvn wrapper:wrapper"},
		argv: []string{"--batch-mode", "--no-transfer-progress", "-DskipTests", "package"},
		env: func(b *build) map[string]string {
			return map[string]string{"MAVEN_USER_HOME": b.cache("maven")} // of the wrapper
		},
		where: "name it as mainClass in maven-jar-plugin's configuration, or use spring-boot-maven-plugin",
	},
	{
		files:   []string{"build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"},
		wrapper: "gradlew", jars: "build/libs",
		tool: tool{name: "gradle", install: "install Gradle (https://gradle.org, or the package gradle), or commit its wrapper: gradle wrapper"},
		argv: []string{"--no-daemon", "--console=plain", "--build-cache", "assemble"},
		env: func(b *build) map[string]string {
			return map[string]string{"GRADLE_USER_HOME": b.cache("gradle")}
		},
		where: "name it in build.gradle: jar { manifest { attributes 'Main-Class': '...' } }, or use Spring Boot's plugin",
	},
}

// javaApp is a tree with a project of Maven's or Gradle's at its top.
type javaApp struct {
	javaBuilder
	wrapped bool
	wishes  []wish
}

func (j *javaApp) tools(*plan) []tool {
	const install = "install a JDK (https://adoptium.net, or the package default-jdk-headless)"
	tools := []tool{{name: "java", install: install}, {name: "javac", install: install, ask: []string{"-version"}, wishes: j.wishes}}
	if !j.wrapped {
		tools = append(tools, j.tool)
	}
	return tools
}

// web is made of what the build has left: see [javaApp.build].
func (*javaApp) web(*os.Root) (string, error) { return "java -jar", nil }

// build makes the jars, and finds the one that is the app.
func (j *javaApp) build(ctx context.Context, b *build) error {
	b.step("java")
	argv := j.argv
	if j.tool.name == "mvn" {
		argv = append([]string{"-Dmaven.repo.local=" + b.cache("maven", "repository")}, argv...)
	}
	name := j.tool.name
	if j.wrapped {
		name = "./" + j.wrapper
		argv = append([]string{"sh", name}, argv...) // it may have lost its mode on Windows
	} else {
		argv = append([]string{name}, argv...)
	}
	if err := b.run(ctx, name+" "+j.argv[len(j.argv)-1], cmdline.With(b.env, j.env(b)), argv...); err != nil {
		return err
	}
	if !b.plan.runs("java") {
		return nil
	}
	jar, err := j.program(b.tree)
	if err != nil {
		return err
	}
	// Spring takes the port from there, others from $PORT.
	b.plan.processes["web"] = "java -Dserver.port=$PORT $JAVA_OPTS -jar " + cmdline.Quote(jar)
	return nil
}

// program is the jar to run.
func (j *javaApp) program(root *os.Root) (string, error) {
	jars, err := runnableJars(root, j.jars)
	switch {
	case err != nil:
		return "", err
	case len(jars) == 0:
		return "", fmt.Errorf("no jar in %s says which class is the program (Main-Class); %s", j.jars, j.where)
	case len(jars) > 1:
		return "", fmt.Errorf("%d jars that can be run; say which in a Procfile, with a line like `web: java -jar %s`", len(jars), jars[0])
	}
	return jars[0], nil
}

var javaRelease = regexp.MustCompile(`(?m)^\s*java\.runtime\.version\s*[=:]\s*(\S+)\s*$`)

// javaWishes are those of system.properties, as Heroku has it, and of .java-version, as jenv has it.
func javaWishes(root *os.Root) ([]wish, error) {
	if tree.IsFile(root, "system.properties") {
		content, err := tree.Read(root, "system.properties", 64<<10)
		if err != nil {
			return nil, err
		}
		if found := javaRelease.FindSubmatch(content); found != nil {
			return javaWish("java.runtime.version in system.properties", string(found[1]))
		}
	}
	if tree.IsFile(root, ".java-version") {
		content, err := tree.Read(root, ".java-version", 4<<10)
		if err != nil {
			return nil, err
		}
		return javaWish(".java-version", string(tree.Text(content)))
	}
	return nil, nil
}

var javaNumber = regexp.MustCompile(`^(?:[A-Za-z]+-)?(?:1\.)?(\d{1,3})(?:[.+_].*)?$`)

func javaWish(by, asked string) ([]wish, error) {
	asked = strings.TrimSpace(asked)
	number := javaNumber.FindStringSubmatch(asked) // temurin-17.0.2, 1.8, 21
	if number == nil {
		return nil, fmt.Errorf("%s: %.40q is not a version; write a number, like 21", by, asked)
	}
	counts, digits := number[1], 1
	if counts == "8" { // which calls itself 1.8.0_392
		counts, digits = "1.8", 2
	}
	w, err := atLeast(by, counts, digits)
	w.asked = asked
	return []wish{w}, err
}
