import { nearestName } from '../nearest-name.ts';
import { appSettings } from './app-settings.ts';

/** Right values of the settings that have to be there, as they would be written. */
const examples: Readonly<Record<string, string>> = {
  topic: 'com.example.shop',
  environment: 'production',
  transport: 'http2',
  credential: '{ p8: ./AuthKey_ABC1234567.p8, keyId: ABC1234567, teamId: DEF1234567 }',
  'credential.keyId': 'ABC1234567',
  'credential.teamId': 'DEF1234567',
  gateway: '{ host: gateway.example.com, port: 2195, ca: ./gateway-ca.pem }',
  'gateway.host': 'gateway.example.com',
  'gateway.port': '443',
  'proxy.host': 'proxy.example.com',
  'proxy.port': '3128',
  'canary.token': 'the 64 hexadecimal digits of a device of yours',
};

/** A right value of a setting that is missing. @param path Below `apps.<id>`. */
export function exampleOf(path: string): string | undefined {
  return examples[path];
}

/**
 * What somebody meant who wrote a setting that there is not: one of the same place, or of another; else, what there is.
 * @param path Below `apps.<id>`.
 */
export function settingAdvice(path: string): string {
  const at = path.lastIndexOf('.');
  const [place, name] = [path.slice(0, Math.max(0, at)), path.slice(at + 1)];
  const settings = appSettings().map((setting) => setting.path);
  const siblings = [
    ...new Set(
      settings
        .filter((setting) => place === '' || setting.startsWith(`${place}.`))
        .map((setting) => setting.slice(place === '' ? 0 : place.length + 1).split('.')[0]!),
    ),
  ];
  const means = (candidate: string) => plain(candidate) === plain(name);
  const meant = [
    siblings.filter(means),
    settings.filter((setting) => means(setting.split('.').at(-1)!)),
    siblings.filter((candidate) => plain(candidate).startsWith(plain(name))),
    siblings.filter((candidate) => plain(candidate) === nearestName(plain(name), siblings.map(plain))),
  ].find((candidates) => candidates.length > 0);
  if (meant !== undefined) return `did you mean ${meant.join(' or ')}?`;
  if (place !== '' && siblings.length > 0) return `there are ${siblings.join(', ')}`;
  return 'docs/settings.md lists them all';
}

/** `key_id`, `key-id` and `keyid` mean `keyId`. */
function plain(name: string): string {
  return name.replaceAll(/[-_ ]/g, '').toLowerCase();
}
