// deploy-connect deploys a stack and watches the job to its end, by Connect over HTTP.
//
//	deploy-connect URL PROJECT STACK COMPOSE_FILE       the token: SKEP_TOKEN
//
// URL is http://127.0.0.1:7700, or https:// where the daemon has a certificate: SKEP_CA is a file of authorities (without it: the system's),
// SKEP_CERTIFICATE a client certificate and its key.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	skepv1 "example.com/skep/gen/skep/v1"
	"example.com/skep/gen/skep/v1/skepv1connect"
	"example.com/skep/tlsfiles"
)

// bearer sends the token with each request.
type bearer struct {
	token string
	inner http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.token != "" {
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.inner.RoundTrip(r)
}

func deploy(ctx context.Context, client *http.Client, url, project, stack, file string) (*skepv1.Job, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	reply, err := skepv1connect.NewStacksClient(client, url).Deploy(ctx, connect.NewRequest(&skepv1.DeployStackRequest{
		Project: project, Name: stack, Compose: []*skepv1.ComposeFile{{Name: file, Text: text}},
	}))
	if err != nil {
		return nil, err
	}
	return reply.Msg.GetJob(), nil
}

// watch tells what happens to the job, and returns it when it has ended.
func watch(ctx context.Context, client *http.Client, url, id string) (*skepv1.Job, error) {
	stream, err := skepv1connect.NewJobsClient(client, url).Watch(ctx, connect.NewRequest(&skepv1.WatchJobRequest{Id: id}))
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	var job *skepv1.Job
	for stream.Receive() {
		if event := stream.Msg().GetEvent(); event != nil {
			fmt.Println(event.GetKind(), cmp.Or(event.GetStep(), event.GetService()), event.GetMessage())
		}
		if stream.Msg().GetJob() != nil {
			job = stream.Msg().GetJob()
		}
	}
	return job, stream.Err()
}

func run(url, project, stack, file string) error {
	ctx := context.Background()
	config, err := tlsfiles.Config()
	if err != nil {
		return err
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	client := &http.Client{Transport: bearer{os.Getenv("SKEP_TOKEN"), transport}}
	job, err := deploy(ctx, client, url, project, stack, file)
	if err == nil {
		job, err = watch(ctx, client, url, job.GetId())
	}
	if err != nil {
		return err
	}
	if job.GetState() != skepv1.JobState_JOB_STATE_SUCCEEDED {
		return fmt.Errorf("FAILED %s", job.GetError())
	}
	fmt.Println("SUCCEEDED")
	return nil
}

// explain adds to an error which fields are wrong, and why.
func explain(err error) string {
	words := err.Error()
	var failure *connect.Error
	if !errors.As(err, &failure) {
		return words
	}
	for _, detail := range failure.Details() {
		value, err := detail.Value()
		if bad, ok := value.(*errdetails.BadRequest); ok && err == nil {
			for _, v := range bad.GetFieldViolations() {
				words += fmt.Sprintf("\n%s: %s", v.GetField(), v.GetDescription())
			}
		}
	}
	return words
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: deploy-connect URL PROJECT STACK COMPOSE_FILE")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, explain(err))
		os.Exit(1)
	}
}
