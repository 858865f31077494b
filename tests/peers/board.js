'use strict';
/* The real bull-board before what `bull_board` writes: node board.js FOLDER REDIS-SOCKET PREFIX QUEUE… (FOLDER: of tests/peers/setup).
 * Prints its port. As docs/jobs.md shows, but that it may write: a test presses its buttons. */
const path = require('path');
const [folder, socket, prefix, ...names] = process.argv.slice(2);
const need = (name) => require(path.join(folder, 'node_modules', ...name.split('/')));
const { Queue } = need('bullmq');
const { createBullBoard } = need('@bull-board/api');
const { BullMQAdapter } = need('@bull-board/api/bullMQAdapter');
const { ExpressAdapter } = need('@bull-board/express');

const connection = { path: socket, maxRetriesPerRequest: null };
const serverAdapter = new ExpressAdapter();
createBullBoard({
  queues: names.map((name) => new BullMQAdapter(new Queue(name, { connection, prefix }))),
  serverAdapter,
});
const app = need('express')();
app.use('/', serverAdapter.getRouter());
const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port));
