// What a page gets: window.skepDeploy(wish), whose wish has the Compose text as a string. It answers with the lines it has told.
import { deploy, explain, succeeded } from "./deploy.ts";

interface PageWish {
  url: string;
  token?: string;
  project: string;
  stack: string;
  compose: string;
}

declare global {
  interface Window {
    skepDeploy(wish: PageWish): Promise<string[]>;
  }
}

window.skepDeploy = async (wish) => {
  const lines: string[] = [];
  try {
    const job = await deploy({ ...wish, compose: new TextEncoder().encode(wish.compose) }, (line) => lines.push(line));
    lines.push(succeeded(job) ? "SUCCEEDED" : `FAILED ${job?.error}`);
  } catch (failure) {
    lines.push(explain(failure));
  }
  return lines;
};
