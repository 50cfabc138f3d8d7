/** Where metrics and health are served by default; one per service, so that all fit on one machine. */
export const adminPorts = { producer: 9100, worker: 9101, sweeper: 9102 } as const;

export type ServiceName = keyof typeof adminPorts;
