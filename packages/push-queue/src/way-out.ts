/**
 * First line of a script that runs although Redis is full: those that take, keep, report and end push jobs, stop the flow,
 * or make room. What they write takes less than what they take away, or is needed to take it away; producers leave a
 * tenth of the memory for it.
 */
export const wayOut = '#!lua flags=allow-oom\n';
