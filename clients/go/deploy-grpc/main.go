// deploy-grpc deploys a stack and watches the job to its end, by gRPC.
//
//	deploy-grpc ADDRESS PROJECT STACK COMPOSE_FILE       the token: SKEP_TOKEN
//
// ADDRESS is gRPC's: 127.0.0.1:7700, or unix:///run/skep/skep.sock. With SKEP_CA, a file of authorities, it goes inside TLS,
// with SKEP_CERTIFICATE, a client certificate and its key, as whom that names.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	skepv1 "example.com/skep/gen/skep/v1"
	"example.com/skep/tlsfiles"
)

func connect(address string) (*grpc.ClientConn, error) {
	config, err := tlsfiles.Config()
	if err != nil {
		return nil, err
	}
	if config != nil {
		return grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	}
	return grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

func deploy(ctx context.Context, conn *grpc.ClientConn, project, stack, file string) (*skepv1.Job, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	reply, err := skepv1.NewStacksClient(conn).Deploy(ctx, &skepv1.DeployStackRequest{
		Project: project, Name: stack, Compose: []*skepv1.ComposeFile{{Name: file, Text: text}},
	})
	return reply.GetJob(), err
}

// watch tells what happens to the job, and returns it when it has ended.
func watch(ctx context.Context, conn *grpc.ClientConn, id string) (*skepv1.Job, error) {
	stream, err := skepv1.NewJobsClient(conn).Watch(ctx, &skepv1.WatchJobRequest{Id: id})
	if err != nil {
		return nil, err
	}
	var job *skepv1.Job
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return job, nil
		}
		if err != nil {
			return nil, err
		}
		if event := message.GetEvent(); event != nil {
			fmt.Println(event.GetKind(), cmp.Or(event.GetStep(), event.GetService()), event.GetMessage())
		}
		if message.GetJob() != nil {
			job = message.GetJob()
		}
	}
}

func run(address, project, stack, file string) error {
	conn, err := connect(address)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx := context.Background()
	if token := os.Getenv("SKEP_TOKEN"); token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	job, err := deploy(ctx, conn, project, stack, file)
	if err == nil {
		job, err = watch(ctx, conn, job.GetId())
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
	for _, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				words += fmt.Sprintf("\n%s: %s", v.GetField(), v.GetDescription())
			}
		}
	}
	return words
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: deploy-grpc ADDRESS PROJECT STACK COMPOSE_FILE")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, explain(err))
		os.Exit(1)
	}
}
