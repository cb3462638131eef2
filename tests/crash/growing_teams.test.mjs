// growing_teams.test.mjs - Teams, killed while an answer grows
import { killedWhileGrowing } from './growing.mjs';

killedWhileGrowing('teams');
