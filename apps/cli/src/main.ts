#!/usr/bin/env node
import { runProgram } from './program.ts';

// `pushfleet` as a process: arguments in, exit code out. What it does is in program.ts.

process.exitCode = await runProgram(process.argv.slice(2), {
  env: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
});
