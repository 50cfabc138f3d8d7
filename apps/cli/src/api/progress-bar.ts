const width = 30;

/** `[########······] 54 %` */
export function progressBar(share: number): string {
  const done = Math.round(Math.min(1, Math.max(0, share)) * width);
  return `[${'#'.repeat(done)}${'·'.repeat(width - done)}] ${String(Math.floor(share * 100)).padStart(3)} %`;
}
