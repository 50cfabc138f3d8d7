import type { PushfleetClient, Webhook, WebhookDelivery } from '@pushfleet/client';
import { type Command, Option } from 'commander';
import { apiHelp, openClient } from '../api/open-client.ts';
import { table } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import { visibleLine } from '../visible-text.ts';

const kinds = [
  'batch.finished',
  'notifications.rejected',
  'devices.deactivated',
  'app.paused',
  'app.resumed',
  'credential.expiring',
] as const satisfies readonly Webhook['kinds'][number][];

/** `pushfleet webhooks list|create|delete|test|resend|deliveries` */
export function addWebhooksCommands(program: Command, terminal: Terminal): void {
  const webhooks = program
    .command('webhooks')
    .description('have events of an app delivered to a URL')
    .addHelpText('after', `${apiHelp}\nThe key needs the scope admin.`);
  const withId = (name: string, description: string) =>
    webhooks.command(name).description(description).argument('<webhook>', 'its id');

  webhooks
    .command('list')
    .description('the webhooks of an app')
    .requiredOption('--app <id>')
    .action(async ({ app }: { app: string }) => {
      const client = await openClient(terminal);
      const { webhooks: found } = await client.call('GET /v1/webhooks', { query: { app } });
      terminal.print({ webhooks: found }, () =>
        found.length === 0 ? `${app} has no webhook` : showAll(found),
      );
    });

  webhooks
    .command('create')
    .description('create a webhook, and print its secret, which is shown only now')
    .argument('<url>', 'begins with https://')
    .requiredOption('--app <id>')
    .addOption(new Option('--kind <kind...>', 'all by default').choices(kinds))
    .action(async (url: string, { app, kind }: { app: string; kind?: Webhook['kinds'] }) => {
      const client = await openClient(terminal);
      const body = { app, url, ...(kind === undefined ? {} : { kinds: kind }) };
      const made = await client.call('POST /v1/webhooks', { body });
      terminal.print(made, () =>
        [
          `webhook ${made.webhookId} of ${app}: ${made.kinds.join(', ')}`,
          `secret ${made.secret}`,
          `Keep the secret: it is not shown again. Try it: pushfleet webhooks test ${made.webhookId}`,
        ].join('\n'),
      );
    });

  withId('delete', 'delete a webhook, with its pending deliveries').action(async (id: string) => {
    const client = await openClient(terminal);
    await client.call('DELETE /v1/webhooks/{id}', { path: { id: id } });
    terminal.print({ webhookId: id }, () => `webhook ${id} is gone`);
  });

  withId('test', 'have a test event delivered').action(async (id: string) => {
    const client = await openClient(terminal);
    const { deliveryId } = await client.call('POST /v1/webhooks/{id}/test', { path: { id: id } });
    terminal.print(
      { webhookId: id, deliveryId },
      () => `delivery ${deliveryId} is queued; its state: pushfleet webhooks deliveries ${id}`,
    );
  });

  withId('resend', 'have events delivered again that it did not take')
    .option('--delivery <id...>', 'these; all that failed by default')
    .action(async (id: string, { delivery }: { delivery?: string[] }) => {
      const client = await openClient(terminal);
      const result = await client.call('POST /v1/webhooks/{id}/resend', {
        path: { id: id },
        body: delivery === undefined ? {} : { deliveryIds: delivery },
      });
      terminal.print({ webhookId: id, ...result }, () =>
        result.resent === 0
          ? 'no failed deliveries to resend'
          : `${result.resent} ${result.resent === 1 ? 'delivery is' : 'deliveries are'} made again`,
      );
    });

  withId('deliveries', 'what has been delivered to it, and what not, the newest first').action(
    async (id: string) => {
      const client = await openClient(terminal);
      const deliveries = await lastDeliveries(client, id);
      terminal.print({ webhookId: id, deliveries }, () =>
        deliveries.length === 0 ? 'nothing was to be delivered yet' : showDeliveries(deliveries),
      );
    },
  );
}

async function lastDeliveries(client: PushfleetClient, id: string): Promise<WebhookDelivery[]> {
  const page = await client.call('GET /v1/webhooks/{id}/deliveries', { path: { id }, query: { limit: 100 } });
  return [...page.deliveries];
}

function showAll(webhooks: readonly Webhook[]): string {
  return table(
    ['webhook', 'active', 'kinds', 'url'],
    webhooks.map(({ webhookId, active, kinds: of, url }) => [
      webhookId,
      active ? 'yes' : 'no',
      of.length === kinds.length ? 'all' : of.join(', '),
      visibleLine(url),
    ]),
  );
}

function showDeliveries(deliveries: readonly WebhookDelivery[]): string {
  return table(
    ['delivery', 'kind', 'state', 'attempts', 'answer', 'occurred'],
    deliveries.map(({ deliveryId, kind, state, attempts, status, error, occurredAt }) => [
      deliveryId,
      kind,
      state,
      attempts,
      visibleLine(error ?? (status === undefined ? '' : String(status))),
      occurredAt,
    ]),
  );
}
