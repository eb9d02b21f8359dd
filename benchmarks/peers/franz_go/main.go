// The bare hop in Go on franz-go: what the same work costs without an interpreter.
//
// At least once, as the kernel: a batch is committed after the broker has its copies. Reads a job as JSON (job.py),
// prints a measurement. Processor time is that of the whole process, from the first record read to the last one stored.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	session, heartbeat, commitEvery = 2 * time.Second, 600 * time.Millisecond, 200 * time.Millisecond
	maxRecords                      = 4000
)

type job struct {
	Servers, Source, Target, Group string
	Records                        int
}

type hop struct {
	Key    *string `json:"key"`
	Number *int64  `json:"number"`
	Text   *string `json:"text"`
}

func main() {
	var j job
	if err := json.Unmarshal([]byte(os.Args[1]), &j); err != nil {
		log.Fatal(err)
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(j.Servers), kgo.ConsumerGroup(j.Group), kgo.ConsumeTopics(j.Source),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.Balancers(kgo.RangeBalancer()),
		kgo.SessionTimeout(session), kgo.HeartbeatInterval(heartbeat), kgo.DisableAutoCommit(),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableIdempotentWrite(),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerBatchCompression(kgo.NoCompression()),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if err := copyAll(context.Background(), client, j); err != nil {
		log.Fatal(err)
	}
}

func copyAll(ctx context.Context, client *kgo.Client, j job) error {
	var begin time.Time
	var used time.Duration
	published, commitAt := 0, time.Now().Add(commitEvery)
	for published < j.Records {
		fetches := client.PollRecords(ctx, maxRecords)
		if err := fetches.Err(); err != nil {
			return err
		}
		if begin.IsZero() && fetches.NumRecords() > 0 {
			begin, used = time.Now(), cpu()
		}
		rows := fetches.Records()
		copies := make([]*kgo.Record, len(rows))
		for i, row := range rows {
			made, err := copied(row, j.Target)
			if err != nil {
				return err
			}
			copies[i] = made
		}
		if err := client.ProduceSync(ctx, copies...).FirstErr(); err != nil {
			return err
		}
		published += len(rows)
		if published < j.Records && time.Now().Before(commitAt) {
			continue
		}
		if published >= j.Records {
			report(published, time.Since(begin), cpu()-used)
		}
		if err := client.CommitUncommittedOffsets(ctx); err != nil {
			return err
		}
		commitAt = time.Now().Add(commitEvery)
	}
	return nil
}

func copied(row *kgo.Record, target string) (*kgo.Record, error) {
	var h hop
	if err := json.Unmarshal(row.Value, &h); err != nil {
		return nil, err
	}
	if h.Key == nil || h.Number == nil || h.Text == nil {
		return nil, errors.New("a field is missing")
	}
	var value bytes.Buffer
	encoder := json.NewEncoder(&value)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(h); err != nil {
		return nil, err
	}
	return &kgo.Record{
		Topic: target, Partition: row.Partition, Key: row.Key, Value: bytes.TrimSuffix(value.Bytes(), []byte("\n")),
		Headers: []kgo.RecordHeader{
			{Key: "ce_specversion", Value: []byte("1.0")}, {Key: "ce_source", Value: []byte("/benchmarks/hop")},
			{Key: "ce_type", Value: []byte("hop.v1")}, {Key: "ce_id", Value: []byte(*h.Key)},
		},
	}, nil
}

// cpu is the processor time of this process until now, user and system, all threads.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func report(records int, wall, used time.Duration) {
	perRecord := float64(used.Nanoseconds()) / 1e3 / float64(records)
	fmt.Printf("{\"per_s\": %f, \"cpu_us\": %f}\n", float64(records)/wall.Seconds(), perRecord)
}
