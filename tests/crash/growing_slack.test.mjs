// growing_slack.test.mjs - Slack, killed while an answer grows
import { killedWhileGrowing } from './growing.mjs';

killedWhileGrowing('slack');
