// node node.js URL PROJECT STACK COMPOSE_FILE       the token: SKEP_TOKEN
import { readFileSync } from "node:fs";
import { deploy, explain, succeeded } from "./deploy.ts";

const [url, project, stack, file] = process.argv.slice(2);
if (!url || !project || !stack || !file) {
  console.error("usage: node.js URL PROJECT STACK COMPOSE_FILE");
  process.exit(2);
}
try {
  const job = await deploy({ url, token: process.env.SKEP_TOKEN, project, stack, compose: readFileSync(file) }, console.log);
  console.log(succeeded(job) ? "SUCCEEDED" : `FAILED ${job?.error}`);
  process.exitCode = succeeded(job) ? 0 : 1;
} catch (failure) {
  console.error(explain(failure));
  process.exitCode = 1;
}
