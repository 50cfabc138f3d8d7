import { writeFileSync } from 'node:fs';
import { settingsFile, settingsPage } from './settings-page.ts';

// `npm run settings`: writes docs/settings.md anew from the schemas.

writeFileSync(settingsFile, settingsPage());
