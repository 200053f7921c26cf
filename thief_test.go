package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// This file has the programs of testdata/ports: an app, a thief that wants its visitors, and a
// visitor. They share the folder $TESTAPP_DIR. The script's file "attack" there tells the thief
// what to do with a port that the victim was given:
//
//	listen HOST    listen on it
//	share HOST     listen on it with SO_REUSEPORT
//	bind HOST      bind it without listening
//	all            listen on every free port of the range, on all addresses
//
// The thief writes the outcome to "taken.PORT", and what it reads from the victim's visitors to
// "stolen".

// sharedFile returns the path of a file in the shared folder.
func sharedFile(name string) string { return filepath.Join(os.Getenv("TESTAPP_DIR"), name) }

// note writes a file of the shared folder atomically.
func note(name, text string) {
	temp := sharedFile(fmt.Sprintf(".%s.%d", name, os.Getpid()))
	if err := os.WriteFile(temp, []byte(text), 0o666); err != nil {
		log.Fatal(err)
	}
	if err := os.Rename(temp, sharedFile(name)); err != nil {
		log.Fatal(err)
	}
}

// noted returns the content of a file of the shared folder, and whether it exists.
func noted(name string) (text string, exists bool) {
	content, err := os.ReadFile(sharedFile(name))
	return strings.TrimSpace(string(content)), err == nil
}

// victim is an app that answers "victim". Before it listens, it waits for the thief if there is a
// file "attack". It exits when there is a file "die". The first request makes it write its port to
// the file "port".
func victim() {
	host := flag.String("host", "127.0.0.1", "listen on this address; 6 is all addresses, IPv6 only")
	share := flag.Bool("share", false, "set SO_REUSEPORT")
	hide := flag.Bool("hide", false, "serve in a process of another session, parent and environment")
	flag.Parse()
	port := os.Getenv("PORT")
	if *hide {
		cmd := exec.Command(os.Args[0])
		cmd.Env = []string{
			"PORT=" + port, "TESTAPP_DIR=" + os.Getenv("TESTAPP_DIR"),
			"PARENT=" + strconv.Itoa(os.Getpid()),
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			log.Fatal(err)
		}
		return
	}
	for os.Getenv("PARENT") == strconv.Itoa(os.Getppid()) { // the parent still runs
		time.Sleep(time.Millisecond)
	}
	if _, attack := noted("attack"); attack {
		note("wanted."+port, "")
		for done := false; !done; time.Sleep(time.Millisecond) {
			_, done = noted("taken." + port)
		}
	}
	network, addr := "tcp", *host
	if addr == "6" {
		network, addr = "tcp6", "::"
	}
	l, err := listenOn(network, net.JoinHostPort(addr, port), *share)
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		for ; ; time.Sleep(time.Millisecond) {
			if os.Remove(sharedFile("die")) == nil {
				os.Exit(3)
			}
			if _, err := os.Stat(sharedFile("")); err != nil { // the script has ended
				os.Exit(0)
			}
		}
	}()
	first := sync.OnceFunc(func() { note("port", port) })
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		first()
		io.WriteString(w, "victim\n")
	})
	server := http.Server{}
	server.SetKeepAlivesEnabled(false) // the front door then opens a connection for each request
	log.Fatal(server.Serve(l))
}

func listenOn(network, addr string, share bool) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		if share {
			raw.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
			})
		}
		return err
	}}
	return config.Listen(context.Background(), network, addr)
}

// thief is an app that attacks each port with a file "wanted.PORT" once. A port with a file
// "spin.PORT" it attacks until it succeeds.
func thief() {
	signal.Ignore(syscall.SIGTERM) // only SIGKILL stops it
	page := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "thief\n") }
	go http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(page))
	done := map[string]bool{}
	for ; ; time.Sleep(time.Millisecond) {
		files, _ := filepath.Glob(sharedFile("*.[1-9]*"))
		for _, file := range files {
			kind, port, _ := strings.Cut(filepath.Base(file), ".")
			if done[file] || kind != "wanted" && kind != "spin" {
				continue
			}
			done[file] = true
			attack, _ := noted("attack")
			if kind == "wanted" {
				note("taken."+port, fmt.Sprint(take(attack, port)))
				continue
			}
			note("ready."+port, "")
			go func() {
				for take(attack, port) != nil {
				}
				note("taken."+port, "")
			}()
		}
	}
}

// take attacks the port.
func take(attack, port string) error {
	verb, host, _ := strings.Cut(attack, " ")
	host = cmp.Or(host, "::")
	switch verb {
	case "bind":
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err == nil {
			var number int
			fmt.Sscan(port, &number)
			err = unix.Bind(fd, &unix.SockaddrInet4{Port: number, Addr: [4]byte(net.ParseIP(host).To4())})
		}
		return err
	case "all":
		for number := 20000; number <= 31999; number++ {
			steal("listen", net.JoinHostPort(host, fmt.Sprint(number)))
		}
		return nil
	}
	return steal(verb, net.JoinHostPort(host, port))
}

// steal listens on addr and writes what it receives to the file "stolen".
func steal(verb, addr string) error {
	l, err := listenOn("tcp", addr, verb == "share")
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buffer := make([]byte, 4096)
				if n, _ := conn.Read(buffer); n > 0 {
					note("stolen", string(buffer[:n]))
					io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nstolen\n")
				}
			}()
		}
	}()
	return nil
}

// countAnswers sends requests to the app named by its argument until there is a file "enough". It prints
// each answer that differs from the one before.
func countAnswers() {
	last := ""
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for enough := false; !enough; _, enough = noted("enough") {
		time.Sleep(time.Millisecond)
		request, err := http.NewRequest("GET", "http://127.0.0.1:"+os.Getenv("HTTPPORT")+"/", nil)
		if err != nil {
			log.Fatal(err)
		}
		request.Host = os.Args[1] + ".localhost"
		request.Header.Set("Cookie", "session=secret")
		answer, err := client.Do(request)
		if err != nil {
			continue
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if said := fmt.Sprintf("%d %.20q\n", answer.StatusCode, body); said != last {
			fmt.Print(said)
			last = said
		}
	}
}
