// Prints the targets that Prometheus' kubernetes_sd finds, as a JSON list of their labels.
//
// Only for recording kubernetes_golden.json (kubernetes_golden.py --record): nothing is built from
// it. In a folder of its own:
//
//	go mod init oracle && go get github.com/prometheus/prometheus/discovery/kubernetes@v0.315.0
//	cp .../kubernetes_oracle.go main.go && go mod tidy && go build -o oracle
package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"go.yaml.in/yaml/v2"
)

func main() {
	var conf kubernetes.SDConfig
	if err := yaml.Unmarshal([]byte(os.Args[1]), &conf); err != nil {
		panic(err)
	}
	reg := prometheus.NewRegistry()
	refresh := discovery.NewRefreshMetrics(reg)
	m := conf.NewDiscovererMetrics(reg, refresh)
	d, err := conf.NewDiscoverer(discovery.DiscovererOptions{Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), Metrics: m})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ch := make(chan []*targetgroup.Group)
	go d.Run(ctx, ch)
	groups := map[string]*targetgroup.Group{}
	timer := time.After(2500 * time.Millisecond)
loop:
	for {
		select {
		case gs := <-ch:
			for _, g := range gs {
				groups[g.Source] = g
			}
		case <-timer:
			break loop
		}
	}
	var out []map[string]string
	for _, g := range groups {
		for _, t := range g.Targets {
			l := map[string]string{}
			for k, v := range g.Labels.Merge(t) {
				if v != "" {
					l[string(k)] = string(v)
				}
			}
			out = append(out, l)
		}
	}
	json.NewEncoder(os.Stdout).Encode(out)
}
