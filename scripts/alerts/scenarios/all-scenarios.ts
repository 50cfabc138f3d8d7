import { accountingScenarios } from './accounting-scenarios.ts';
import { appScenarios } from './app-scenarios.ts';
import { gatewayScenarios, presumptionScenario } from './gateway-scenarios.ts';
import { serviceScenarios } from './service-scenarios.ts';

/** Each happens to an app of its own: all at once. */
export const apart = [...appScenarios, ...gatewayScenarios, ...accountingScenarios];

/** Each happens to the whole fleet: one after the other. */
export const inTurn = [presumptionScenario, ...serviceScenarios];
