// Deploys a stack and watches the job to its end: the same in Node.js and in a browser. connect-web needs nothing but fetch.
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { BadRequestSchema } from "./gen/google/rpc/error_details_pb.ts";
import { type Job, Jobs, JobState } from "./gen/skep/v1/jobs_pb.ts";
import { Stacks } from "./gen/skep/v1/stacks_pb.ts";

export interface Wish {
  url: string; // http://127.0.0.1:7700, or https:// where the daemon has a certificate
  token?: string;
  project: string;
  stack: string;
  compose: Uint8Array;
}

export async function deploy(wish: Wish, tell: (line: string) => void): Promise<Job | undefined> {
  // Every request carries the token.
  const authenticate: Interceptor = (next) => (request) => {
    if (wish.token) request.header.set("authorization", `Bearer ${wish.token}`);
    return next(request);
  };
  const transport = createConnectTransport({ baseUrl: wish.url, interceptors: [authenticate] });
  const submitted = await createClient(Stacks, transport).deploy({
    project: wish.project,
    name: wish.stack,
    compose: [{ name: "compose.yml", text: wish.compose }],
  });
  let job = submitted.job;
  for await (const message of createClient(Jobs, transport).watch({ id: job?.id })) {
    const event = message.event;
    if (event) tell(`${event.kind} ${event.step || event.service} ${event.message}`);
    if (message.job) job = message.job;
  }
  return job;
}

export function succeeded(job: Job | undefined): boolean {
  return job?.state === JobState.SUCCEEDED;
}

// A failure in words, with the fields that are wrong.
export function explain(failure: unknown): string {
  const error = ConnectError.from(failure);
  const fields = error.findDetails(BadRequestSchema).flatMap((bad) => bad.fieldViolations);
  return [`${Code[error.code]}: ${error.rawMessage}`, ...fields.map((v) => `${v.field}: ${v.description}`)].join("\n");
}
