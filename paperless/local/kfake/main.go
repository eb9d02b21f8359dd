// The embedded broker: franz-go's kfake on a port of 127.0.0.1, with its log in memory, until SIGTERM or SIGINT.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

func main() {
	port := flag.Int("port", 9092, "port of 127.0.0.1 to serve on")
	growth := flag.Int("heap-growth", 50, "per cent by which the heap grows before garbage is collected, as GOGC")
	flag.Parse()
	debug.SetGCPercent(*growth)
	if err := serve(*port); err != nil {
		fmt.Fprintln(os.Stderr, "the broker cannot serve:", err)
		os.Exit(1)
	}
}

func serve(port int) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.Ports(port),
		// Six seconds by default; a killed member's partitions rest for as long as its session.
		kfake.GroupMinSessionTimeout(time.Second),
	)
	if err != nil {
		return err
	}
	defer cluster.Close()
	fmt.Println("serving on", cluster.ListenAddrs()[0])
	<-stop
	return nil
}
