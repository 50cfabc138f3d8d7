#!/usr/bin/env node
import { runProgram } from './program.ts';

// `pushfleet` as a process: arguments in, exit code out. What it does is in program.ts.

// `pushfleet … | head` closes the pipe early: there is nobody left to print for.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
}

process.exitCode = await runProgram(process.argv.slice(2), {
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
});
