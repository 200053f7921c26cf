package builder

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paas/rig"
)

const helloJava = "package hello;\npublic class Hello { public static void main(String[] a) { " +
	"System.out.println(\"compiled\"); } }\n"

// mavenOffline makes Maven take everything from Debian's repository of its plugins, if that is
// installed, so that it need not reach Maven Central.
func mavenOffline(t *testing.T) map[string]string {
	t.Helper()
	rig.Need(t, "mvn", "javac")
	const repo = "/usr/share/maven-repo"
	for _, plugin := range []string{"compiler", "jar", "resources", "surefire"} {
		if !isFolder(repo + "/org/apache/maven/plugins/maven-" + plugin + "-plugin") {
			t.Skipf("SKIP: no maven-%s-plugin in %s; on Debian it is in "+
				"libmaven-compiler-plugin-java, libmaven-jar-plugin-java, "+
				"libmaven-resources-plugin-java and libsurefire-java", plugin, repo)
		}
	}
	return map[string]string{
		".mvn/maven.config": "--settings=.mvn/settings.xml\n",
		".mvn/settings.xml": "<settings><mirrors><mirror><id>debian</id><mirrorOf>*</mirrorOf><url>file://" + repo +
			"</url></mirror></mirrors></settings>",
	}
}

func TestBuildMaven(t *testing.T) {
	t.Parallel()
	files := mavenOffline(t)
	files["src/main/java/hello/Hello.java"] = helloJava
	pom, err := os.ReadFile("../../examples/java/pom.xml")
	if err != nil {
		t.Fatal(err)
	}
	files["pom.xml"] = string(pom)
	b := newBuilder(t)
	cache := t.TempDir()
	for range 2 {
		began := time.Now()
		built, out, dir := mustBuild(t, b, cache, files)
		t.Logf("Maven build: %s", time.Since(began))
		rig.WantIn(t, "build", out, "-----> Building (java)\n       mvn package\n")
		if built.Kind != "java" ||
			built.Processes["web"] != "java -Dserver.port=$PORT $JAVA_OPTS -jar "+
				"target/hello-1.0.jar" {
			t.Errorf("built %+v; log:\n%s", built, out)
		}
		if got := printed(t, b, dir, built, built.Processes["web"]); got != "compiled\n" {
			t.Errorf("printed %q", got)
		}
		files["src/main/java/hello/Hello.java"] = strings.Replace(helloJava, `"comp`, `"" + "comp`,
			1)
	}
	if !isFolder(filepath.Join(cache, "maven/repository/org/apache/maven/plugins")) {
		t.Error("the plugins are not in the cache")
	}

	files["pom.xml"] = strings.Replace(files["pom.xml"], "<mainClass>hello.Hello</mainClass>", "",
		1)
	_, _, _, err = buildFiles(t, b, cache, files)
	rig.WantIn(t, "no main class", rig.Message(err),
		"no jar in target says which class is the program (Main-Class); name it as mainClass")
	files["src/main/java/hello/Hello.java"] = "nonsense"
	_, out, _, err := buildFiles(t, b, cache, files)
	rig.WantIn(t, "does not compile", rig.Message(err)+out, "mvn package: exit status 1",
		"Hello.java:[1,1]")
}

// A process that runs Maven finds what the build has downloaded, and can write to it.
func TestMavenAtBoot(t *testing.T) {
	t.Parallel()
	files := mavenOffline(t)
	files["src/main/java/hello/Hello.java"] = helloJava
	files["Procfile"] = "web: mvn --offline spring-boot:run\n"
	pom, err := os.ReadFile("../../examples/java/pom.xml")
	if err != nil {
		t.Fatal(err)
	}
	files["pom.xml"] = string(pom)
	b := newBuilder(t)
	built, _, dir := mustBuild(t, b, t.TempDir(), files)
	line := "mvn --batch-mode --quiet --offline -DskipTests package && echo packed"
	if got := printed(t, b, dir, built, line); got != "packed\n" {
		t.Errorf("printed %q; env %q", got, built.Env)
	}
}

// So does one that runs a wrapper script.
func TestJavaWrapperAtBoot(t *testing.T) {
	t.Parallel()
	rig.Need(t, "javac")
	b := newBuilder(t)
	for wrapper, test := range map[string]struct{ file, makes, finds string }{
		"gradlew": {
			"build.gradle", "mkdir -p $GRADLE_USER_HOME/caches\necho kept >$GRADLE_USER_HOME/caches/jar\n",
			"cat $GRADLE_USER_HOME/caches/jar && touch $GRADLE_USER_HOME/lock",
		},
		"mvnw": {
			"pom.xml", "dir=${1#-Dmaven.repo.local=}\nmkdir -p $dir\necho kept >$dir/jar\n",
			"dir=${MAVEN_OPTS#-Dmaven.repo.local=} && cat $dir/jar && touch $dir/lock",
		},
	} {
		built, _, dir := mustBuild(t, b, t.TempDir(), map[string]string{
			test.file: "", wrapper: test.makes, "Procfile": "web: ./" + wrapper + " run\n",
		})
		if got := printed(t, b, dir, built, test.finds); got != "kept\n" {
			t.Errorf("%s: printed %q; env %q", wrapper, got, built.Env)
		}
	}
}

func TestBuildGradle(t *testing.T) {
	t.Parallel()
	rig.Need(t, "gradle", "javac")
	b := newBuilder(t)
	cache := t.TempDir()
	built, out, dir := mustBuild(t, b, cache, map[string]string{
		"settings.gradle": "rootProject.name = 'hello'\n",
		"build.gradle":    "plugins { id 'java' }\njar { manifest { attributes 'Main-Class': 'hello.Hello' } }\n",

		"src/main/java/hello/Hello.java": helloJava})
	rig.WantIn(t, "build", out, "       gradle assemble\n")
	if got := printed(t, b, dir, built, built.Processes["web"]); got != "compiled\n" ||
		!isFolder(filepath.Join(cache, "gradle")) {
		t.Errorf("built %+v, printed %q; log:\n%s", built, got, out)
	}
	if left := running(t, "HOME="+cache); len(left) > 0 {
		t.Errorf("still there: %v", left)
	}
}

// The tree's wrapper wins over the server's tool, even if it lost its mode.
func TestBuildJavaWrapper(t *testing.T) {
	t.Parallel()
	rig.Need(t, "javac", "jar")
	const compile = "#!/bin/sh\nset -e\necho \"$0 $*\"\nmkdir -p $OUT\njavac -d classes " +
		"src/main/java/hello/Hello.java\n" +
		"jar --create --file $OUT/app.jar --main-class hello.Hello -C classes .\ncp " +
		"$OUT/app.jar $OUT/app-sources.jar\n" +
		"jar --create --file $OUT/app-2.jar -C classes .\n"
	b := newBuilder(t)
	for wrapper, test := range map[string]struct{ file, out, says, jar string }{
		"mvnw": {"pom.xml", "target", "./mvnw -Dmaven.repo.local=", "target/app.jar"},
		"gradlew": {
			"build.gradle.kts", "build/libs", "./gradlew --no-daemon", "build/libs/app.jar",
		},
	} {
		files := map[string]string{
			test.file:                        "",
			wrapper:                          strings.ReplaceAll(compile, "$OUT", test.out),
			"src/main/java/hello/Hello.java": helloJava,
		}
		built, out, dir := mustBuild(t, b, t.TempDir(), files)
		rig.WantIn(t, wrapper, out, "       ./"+wrapper+" ", test.says)
		if got := printed(t, b, dir, built, built.Processes["web"]); got != "compiled\n" ||
			!strings.HasSuffix(built.Processes["web"], "-jar "+test.jar) {
			t.Errorf("built %+v, printed %q", built, got)
		}
	}
	_, _, _, windows := buildFiles(t, b, t.TempDir(), map[string]string{
		"pom.xml": "", "mvnw": "#!/bin/sh\r\necho\r\n",
	})
	rig.WantIn(t, "from Windows", rig.Message(windows), "mvnw has Windows line endings, so it cannot run")
	_, out, _, err := buildFiles(t, b, t.TempDir(),
		map[string]string{"pom.xml": "", "src/main/java/hello/Hello.java": helloJava,
			"mvnw": strings.ReplaceAll(compile, "$OUT", "target") +
				"mkdir -p web/target; cp target/app.jar web/target/\n"})
	rig.WantIn(t, "two of them", rig.Message(err)+out,
		"2 runnable jars; add a Procfile with a line like `web: java -jar target/app.jar`")
}

func TestJavaVersions(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		has   string
		want  string // of the error; empty: it fits
	}{
		"heroku": {
			map[string]string{"system.properties": "maven.version=3\njava.runtime.version=17\n"},
			"javac 17.0.15", "",
		},
		"newer": {
			map[string]string{"system.properties": "java.runtime.version = 21\n"}, "javac 17.0.15",
			"java.runtime.version in system.properties asks for javac 21, but this server has " +
				"17.0.15: install a JDK",
		},
		"jenv": {map[string]string{".java-version": "17.0.2\n"}, "javac 17.0.15", ""},
		"vendor": {
			map[string]string{".java-version": "temurin-11.0.20+8\n"}, "javac 17.0.15",
			".java-version asks for javac temurin-11.0.20+8",
		},
		"old form": {map[string]string{".java-version": "1.8"}, "javac 1.8.0_392", ""},
		"old": {
			map[string]string{".java-version": "8"}, "javac 17.0.15", "asks for javac 8, but",
		},
		"nonsense": {
			map[string]string{".java-version": "latest"}, "",
			`.java-version: "latest" is not a version`,
		},
		"silent": {map[string]string{"system.properties": "# nothing\n"}, "", ""},
	} {
		root, err := os.OpenRoot(rig.Tree(t, test.files))
		if err != nil {
			t.Fatal(err)
		}
		requires, err := javaRequirements(root)
		root.Close()
		for _, w := range requires {
			_, err = tool{name: "javac", install: "a JDK"}.check(w, test.has)
		}
		if test.want == "" && err != nil || !strings.Contains(rig.Message(err), test.want) {
			t.Errorf("%s: err = %v", name, err)
		}
	}
}
