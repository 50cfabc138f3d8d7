import { FrameEncoder, type NotificationCommand } from '@pushfleet/apns-wire';
import { createColumns } from '../columns.ts';
import { createFigure, type Figure, median } from '../figure.ts';

const rounds = 5;
const framesPerRound = 2_000_000;

/** Frames of each command, written into one buffer over and over; against copying as many bytes. */
export async function run(): Promise<readonly Figure[]> {
  const columns = createColumns(1_000);
  return ([0, 1, 2] as const).map((command) => {
    const target = Buffer.alloc(256 * 1024);
    const rates = Array.from({ length: rounds }, () => encodeRate(command, columns, target));
    const bytes = bytesPerFrame(command, columns, target);
    return createFigure({
      section: 'encode',
      name: `command ${command}, ${bytes} bytes a frame`,
      figure: median(rates),
      unit: 'frames/s',
      against: { name: 'copying the same bytes', figure: copyRate(bytes, target) },
    });
  });
}

type Columns = ReturnType<typeof createColumns>;

function encodeRate(command: NotificationCommand, columns: Columns, target: Buffer): number {
  const encoder = new FrameEncoder(command);
  const startedMs = performance.now();
  for (let frames = 0; frames < framesPerRound; frames += columns.count) {
    encoder.encode(target, 0, columns, 0, columns.count, frames + 1);
  }
  return framesPerRound / ((performance.now() - startedMs) / 1000);
}

function bytesPerFrame(command: NotificationCommand, columns: Columns, target: Buffer): number {
  return new FrameEncoder(command).encode(target, 0, columns, 0, 1, 1);
}

/** Frame by frame, from one buffer to another. */
function copyRate(bytes: number, target: Buffer): number {
  const source = Buffer.alloc(target.length, 1);
  const startedMs = performance.now();
  const perBuffer = Math.floor(target.length / bytes);
  for (let frame = 0; frame < framesPerRound; frame++) {
    const offset = (frame % perBuffer) * bytes;
    source.copy(target, offset, offset, offset + bytes);
  }
  return framesPerRound / ((performance.now() - startedMs) / 1000);
}
