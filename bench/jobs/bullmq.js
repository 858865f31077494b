'use strict';
/* BullMQ's side of bench/jobs: node bullmq.js REDIS-SOCKET add-one|add-many|process|latency N [CONCURRENCY|RATE]. One line of JSON. */
const path = require('path');
const { Queue, Worker } = require(path.join(process.env.BULLMQ_DIR, 'node_modules', 'bullmq'));

const [socket, mode, nText, argText] = process.argv.slice(2);
const n = Number(nText), arg = Number(argText || 0);
const connection = { path: socket, maxRetriesPerRequest: null };
const data = { text: 'x'.repeat(180) };
const now = () => Number(process.hrtime.bigint()) / 1e6;

function report(seconds, more) {
  const cpu = process.cpuUsage();
  console.log(JSON.stringify({ n, seconds, rate: Math.round(n / seconds), rss_mib: Math.round(process.memoryUsage().rss / 2 ** 20),
    cpu_s: (cpu.user + cpu.system) / 1e6, ...more }));
}

async function addOne(queue) {
  const began = now();
  for (let i = 0; i < n; i++) await queue.add('job', data);
  report((now() - began) / 1e3);
}

async function addMany(queue) {
  let left = n;
  const chain = async () => { while (left-- > 0) await queue.add('job', data); };
  const began = now();
  await Promise.all(Array.from({ length: arg }, chain));
  report((now() - began) / 1e3);
}

async function fill(queue) {
  for (let i = 0; i < n; i += 500)
    await queue.addBulk(Array.from({ length: Math.min(500, n - i) }, () => ({ name: 'job', data })));
}

async function run(queue) {
  await fill(queue);
  const before = process.cpuUsage();
  await new Promise((resolve) => {
    let done = 0, began = 0;
    const worker = new Worker(queue.name, async () => { began = began || now(); }, { connection, concurrency: arg });
    worker.on('completed', () => {
      if (++done < n) return;
      const spent = process.cpuUsage(before);
      report((now() - began) / 1e3, { cpu_s: (spent.user + spent.system) / 1e6 });
      worker.close().then(resolve);
    });
  });
}

/* From add() to the worker's word that it is stored as completed; adds are due at an even rate. The first half second warms up. */
async function latency(queue) {
  const due = new Map(), took = [], warm = arg / 2, all = n + warm;
  const worker = new Worker(queue.name, async () => {}, { connection, concurrency: 50 });
  await worker.waitUntilReady();
  const began = now() + 200;
  let i = 0, ended = 0;
  await new Promise((resolve) => {
    worker.on('completed', (job) => {
      if (job.data.i >= warm) took.push(now() - due.get(job.data.i));
      if (++ended === all) resolve();
    });
    const tick = () => {
      for (; i < all && began + i * 1000 / arg <= now(); i++) {
        due.set(i, began + i * 1000 / arg);
        queue.add('job', { ...data, i });
      }
      if (i < all) setTimeout(tick, 1);
    };
    tick();
  });
  took.sort((a, b) => a - b);
  const at = (p) => Math.round(took[Math.min(n - 1, Math.floor(n * p))] * 100) / 100;
  report((now() - began) / 1e3, { p50_ms: at(0.5), p99_ms: at(0.99) });
  await worker.close();
}

(async () => {
  const queue = new Queue('bench-' + mode + '-' + process.pid, { connection });
  await queue.waitUntilReady();
  await { 'add-one': addOne, 'add-many': addMany, process: run, latency }[mode](queue);
  await queue.obliterate({ force: true });
  await queue.close();
})();
