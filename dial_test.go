package main

import (
	"fmt"
	"net"
	"os"
	"time"
)

// dial is a program for the scripts. It connects to its argument and prints the result.
func dial() {
	conn, err := net.DialTimeout("tcp", os.Args[1], 5*time.Second)
	if err != nil {
		fmt.Println(err)
		return
	}
	conn.Close()
	fmt.Println("connected")
}
