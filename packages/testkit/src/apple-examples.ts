// Payloads as Apple publishes them, in its names, one for each kind of push. Where an example shows no push type, the
// type is what its page names.

export interface AppleExample {
  readonly name: string;
  readonly payload: Readonly<Record<string, unknown>>;
  /** The push type to send it with. */
  readonly pushType: string;
  /** Whether the payload says its push type itself. */
  readonly isInferred: boolean;
}

const localized = (key: string, ...args: string[]) => ({ 'loc-key': key, 'loc-args': args });

export const appleExamples: readonly AppleExample[] = [
  {
    name: 'an alert',
    payload: {
      aps: {
        alert: { title: 'Game Request', subtitle: 'Five Card Draw', body: 'Bob wants to play poker' },
        category: 'GAME_INVITATION',
      },
      gameID: '12345678',
    },
    pushType: 'alert',
    isInferred: true,
  },
  {
    name: 'a localized alert',
    payload: {
      aps: { alert: { 'loc-key': 'GAME_PLAY_REQUEST_FORMAT', 'loc-args': ['Shelly', 'Rick'] } },
    },
    pushType: 'alert',
    isInferred: true,
  },
  {
    name: 'an alert with null for localization keys, of the binary era',
    payload: {
      aps: {
        alert: {
          title: 'Hello',
          'title-loc-key': null,
          'title-loc-args': null,
          'action-loc-key': null,
          'loc-key': 'X',
          'loc-args': null,
        },
      },
    },
    pushType: 'alert',
    isInferred: true,
  },
  {
    name: 'a website push of Safari',
    payload: {
      aps: {
        alert: { title: 'Flight A998 Now Boarding', body: 'Boarding has begun.', action: 'View' },
        'url-args': ['boarding', 'A998'],
      },
    },
    pushType: 'alert',
    isInferred: true,
  },
  {
    name: 'a background update',
    payload: { aps: { 'content-available': 1 }, acme1: 'bar', acme2: 42 },
    pushType: 'background',
    isInferred: true,
  },
  {
    name: 'the start of a Live Activity, with a localized alert',
    payload: {
      aps: {
        timestamp: 1234,
        event: 'start',
        'content-state': { currentHealthLevel: 100, eventDescription: 'Adventure has begun!' },
        'attributes-type': 'AdventureAttributes',
        attributes: { currentHealthLevel: 100, eventDescription: 'Adventure has begun!' },
        alert: {
          title: localized('%@ is on an adventure!', 'Power Panda'),
          body: localized('%@ found a sword!', 'Power Panda'),
          sound: 'chime.aiff',
        },
        'input-push-token': 1,
      },
    },
    pushType: 'liveactivity',
    isInferred: true,
  },
  {
    name: 'an update of a Live Activity',
    payload: {
      aps: {
        timestamp: 1685952000,
        event: 'update',
        'relevance-score': 100,
        'stale-date': 1650998941,
        'content-state': { currentHealthLevel: 0.941, eventDescription: 'Power Panda found a sword!' },
      },
    },
    pushType: 'liveactivity',
    isInferred: true,
  },
  {
    name: 'the end of a Live Activity, without content state',
    payload: {
      aps: { timestamp: 1685952000, event: 'end', 'dismissal-date': 1685959200, 'relevance-score': 75 },
    },
    pushType: 'liveactivity',
    isInferred: true,
  },
  { name: 'a pass update of Wallet', payload: {}, pushType: 'alert', isInferred: true },
  {
    name: 'a wake-up of a managed device',
    payload: { mdm: 'C3D1A1C7-7E3E-4E2A-9E64-3C7E1B5A4D1F' },
    pushType: 'mdm',
    isInferred: true,
  },
  {
    name: 'a change of a file provider',
    payload: { 'container-identifier': 'NSFileProviderWorkingSetContainerItemIdentifier', domain: 'domain' },
    pushType: 'fileprovider',
    isInferred: true,
  },
  {
    name: 'a VoIP call',
    payload: { handle: '+15551234', callUUID: 'x' },
    pushType: 'voip',
    isInferred: false,
  },
  {
    name: 'a speaker of Push to Talk',
    payload: { activeSpeaker: 'The name of the active speaker' },
    pushType: 'pushtotalk',
    isInferred: false,
  },
  { name: 'a query for a location', payload: {}, pushType: 'location', isInferred: false },
  { name: 'an update of a complication', payload: { score: 3 }, pushType: 'complication', isInferred: false },
  {
    name: 'an update of widgets',
    payload: { aps: { 'content-changed': true } },
    pushType: 'widgets',
    isInferred: false,
  },
  {
    name: 'an update of controls',
    payload: { aps: { 'content-changed': true } },
    pushType: 'controls',
    isInferred: false,
  },
  {
    name: 'a push type that is newer than this program',
    payload: { brand: { new: [1] } },
    pushType: 'hologram',
    isInferred: false,
  },
];
