export type { NotificationColumns } from './notification-columns.ts';
