package words

// Why a new PIN is weak.
const (
	weakKK = "{why?default:бұл әдепкі ПИН код|repeated:бір ғана таңба қайталанған|sequence:таңбалары қатар тұр|onekind:таңбалары бір ғана түрден}"
	weakRU = "{why?default:это PIN-код по умолчанию|repeated:в нём повторяется один символ|sequence:его символы идут подряд|onekind:в нём символы только одного вида}"
	weakEN = "{why?default:it is a default PIN|repeated:it repeats one character|sequence:its characters follow one another|onekind:it has only one kind of characters}"
)

// problems is one text for each kind of error. What the error itself says, in
// English, may follow as details.
var problems = []entry{
	// Reaching the token.
	{"error.notoken", "токен табылмады", "токен не найден", "no token"},
	{"error.nocard", "оқу құрылғысында карта жоқ", "в считывателе нет карты", "no card in the reader"},
	{"error.mute", "карта жауап бермейді", "карта не отвечает", "the card does not respond"},
	{"error.mismatch", "картаның протоколы жарамайды", "протокол карты не подходит", "the card's protocol cannot be used"},
	{"error.reader", "оқу құрылғысы мұны орындай алмайды", "считыватель этого не умеет", "the reader cannot do this"},
	{"error.faulty", "оқу құрылғысы жауап бермейді", "считыватель не отвечает", "the reader does not respond"},
	{"error.cardreset", "карта қайта іске қосылды", "карта была сброшена", "the card has been reset"},
	{"error.protocol", "токенмен байланыс қатесі", "ошибка связи с токеном", "the exchange with the token failed"},
	{
		"error.outcome", "соңғы пәрменнің орындалғаны белгісіз",
		"неизвестно, выполнена ли последняя команда", "it is not known whether the last command was carried out",
	},
	{"error.gone", "токен ажыратылды", "токен отключён", "the token has been pulled out"},
	{
		"error.gone.outcome", "токен жұмыс кезінде ажыратылды: соңғы өзгерістің сақталғаны белгісіз",
		"токен отключён во время работы: неизвестно, сохранено ли последнее изменение",
		"the token has been pulled out at work: it is not known whether the last change was made",
	},
	{"error.access", "USB құрылғысына рұқсат жоқ", "нет прав доступа к устройству USB", "no permission for the USB device"},
	{"error.service", "смарт-карта қызметі жұмыс істемейді", "служба смарт-карт не работает", "the smart-card service does not work"},
	{
		"error.service.denied", "смарт-карта қызметі рұқсат бермейді",
		"служба смарт-карт не пускает", "the smart-card service does not let you in",
	},
	{"error.busy", "токенді басқа бағдарлама пайдаланып тұр", "токен занят другой программой", "another program holds the token"},
	{"error.ambiguous", "бірнеше токен сәйкес келеді", "подходит несколько токенов", "several tokens fit"},
	{
		"error.driver", "бұл бағдарламада мұндай USB драйвері жоқ",
		"в этой программе нет такого драйвера USB", "this program has no such USB driver",
	},

	// The command line.
	{"error.usage", "пәрмен жолы қате", "неверная командная строка", "the command line is wrong"},
	{
		"error.leftout", "бұл бағдарламада «{command}» жоқ: ол жады аз құрылғыларға арналған",
		"в этой программе нет «{command}»: она для устройств с малой памятью",
		"{command} is not in this build, which is for devices with little flash",
	},
	{"hint.leftout", "толық бағдарламаны орнатыңыз", "установите полную программу", "install the full program"},
	{"error.interrupted", "тоқтатылды", "прервано", "interrupted"},
	{"error.other", "орындалмады", "не выполнено", "failed"},
	{"error.cancelled", "бас тартылды, ештеңе өзгертілген жоқ", "отменено, ничего не изменено", "cancelled; nothing has been changed"},
	{"error.noterminal", "сұрақ қоятын терминал жоқ", "нет терминала, чтобы спросить", "there is no terminal to ask on"},
	{"error.pin.empty", "ПИН код енгізілмеді", "PIN-код не введён", "no PIN was entered"},
	{"error.pin.differ", "енгізілген екі ПИН код бірдей емес", "введённые PIN-коды не совпадают", "the two PINs are not the same"},
	{
		"error.pin.long", "ПИН код немесе құпиясөз {max} байттан ұзын",
		"PIN-код или пароль длиннее {max} {max|байта|байт|байт}", "a PIN or password of more than {max} {max|byte|bytes}",
	},
	{"error.select.none", "мұндай нысан жоқ: {selector}", "нет такого объекта: {selector}", "there is nothing called {selector}"},
	{
		"error.select.many", "{selector} бірнеше нысанға сәйкес келеді:{list}",
		"{selector} подходит к нескольким объектам:{list}", "{selector} fits several:{list}",
	},
	{"error.settings", "баптаулар файлында қате бар", "в файле настроек ошибка", "the settings file has a mistake"},
	{"error.file", "файлды оқу немесе жазу мүмкін болмады", "не удалось прочитать или записать файл", "a file cannot be read or written"},

	// PINs and roles.
	{
		"error.pin.wrong", "{role?user:Пайдаланушының|admin:Әкімшінің} ПИН коды қате. {n} әрекет қалды",
		"неверный PIN-код {role?user:Пользователя|admin:Администратора}. {n|Осталась|Остались|Осталось} {n} {n|попытка|попытки|попыток}",
		"wrong {role?user:user|admin:administrator} PIN. {n} {n|try|tries} left",
	},
	{
		"error.pin.wrong.unknown", "{role?user:Пайдаланушының|admin:Әкімшінің} ПИН коды қате",
		"неверный PIN-код {role?user:Пользователя|admin:Администратора}",
		"wrong {role?user:user|admin:administrator} PIN",
	},
	{
		"error.pin.blocked", "{role?user:Пайдаланушының|admin:Әкімшінің} ПИН коды бұғатталған",
		"PIN-код {role?user:Пользователя|admin:Администратора} заблокирован",
		"the {role?user:user|admin:administrator} PIN is blocked",
	},
	{
		"error.pin.last", "{role?user:Пайдаланушының|admin:Әкімшінің} ПИН кодын енгізуге бір ғана әрекет қалды, ол пайдаланылған жоқ",
		"осталась одна попытка ввода PIN-кода {role?user:Пользователя|admin:Администратора}, она не использована",
		"only one try is left for the {role?user:user|admin:administrator} PIN; it has not been used",
	},
	{
		"error.pin.disturbed", "токенге басқа бағдарлама кірген еді; ол шығарылды, ПИН код тексерілген жоқ",
		"на токене был вход другой программы; он сброшен, PIN-код не проверялся",
		"another program was logged in; it has been logged out, and the PIN was not compared",
	},
	{
		"error.pin.length", "ПИН кодтың ұзындығы {got} байт, {min}-{max} байт болуы керек",
		"длина PIN-кода {got} {got|байт|байта|байт}, допустимо от {min} до {max}",
		"a PIN of {got} {got|byte|bytes}; the token takes {min} to {max}",
	},
	{
		"error.pin.short", "жаңа ПИН код {got} таңбадан тұрады, баптаулар бойынша кемінде {min} таңба керек",
		"в новом PIN-коде {got} {got|символ|символа|символов}, настройки требуют не менее {min}",
		"a new PIN of {got} {got|character|characters}; the settings ask for {min} or more",
	},
	{
		"error.pin.weak", "жаңа ПИН код әлсіз: " + weakKK + "; баптаулар оған тыйым салады",
		"новый PIN-код слабый: " + weakRU + "; настройки это запрещают", "the new PIN is weak: " + weakEN + "; the settings forbid it",
	},
	{
		"error.policy", "токен саясаты бойынша {role?user:Пайдаланушы|admin:Әкімші} Пайдаланушының ПИН кодын өзгерте алмайды",
		"политика токена не разрешает {role?user:Пользователю|admin:Администратору} менять PIN-код Пользователя",
		"the token's policy does not let the {role?user:user|admin:administrator} change the user PIN",
	},
	{
		"error.role", "алдымен {role?user:Пайдаланушы|admin:Әкімші|any:Пайдаланушы немесе Әкімші} ретінде кіру қажет",
		"сначала нужно войти как {role?user:Пользователь|admin:Администратор|any:Пользователь или Администратор}",
		"log in as {role?user:user|admin:administrator|any:user or administrator} first",
	},
	{
		"error.rights", "токен рұқсат бермейді: құқықтар жеткіліксіз",
		"токен не разрешает: недостаточно прав", "the token does not allow it: rights are missing",
	},

	// The token.
	{
		"error.state.vendor", "бұл токенді өндірушінің бағдарламасы пішімдеген, оның деректер құрылымы жарияланбаған",
		"этот токен отформатирован программой производителя, структура его данных не опубликована",
		"this token was formatted by the vendor's software, whose layout is not public",
	},
	{
		"error.state.half", "бұл токенді пішімдеу аяқталмаған",
		"форматирование этого токена не завершено", "the formatting of this token was not finished",
	},
	{"error.state.wiped", "бұл токен бос, пішімделмеген", "этот токен пуст, не отформатирован", "this token is empty, not formatted"},
	{"error.space", "токенде орын жеткіліксіз", "на токене недостаточно места", "no room on the token"},
	{"error.notfound", "токенде мұндай нысан жоқ", "на токене нет такого объекта", "it is not on the token"},
	{"error.exists", "ол токенде бұрыннан бар", "это уже есть на токене", "it is on the token already"},
	{"error.unsupported", "бұл токен мұны орындай алмайды", "этот токен этого не умеет", "this token cannot do it"},
	{
		"error.answer", "токен күтпеген жауап берді",
		"токен дал неожиданный ответ", "the token gave an unexpected answer",
	},
	{"error.refused", "токен пәрменді орындаудан бас тартты: {sw}", "токен отказался выполнить команду: {sw}", "the token refused a command: {sw}"},
	{"error.option", "мән рұқсат етілген шектен тыс", "недопустимое значение", "a value is out of bounds"},
	{
		"error.name", "токеннің мұндай аты бола алмайды: {why?empty:ол бос|long:ол тым ұзын|text:онда көрсетілмейтін таңбалар бар|space:ол бос орыннан басталады немесе бос орынмен аяқталады}",
		"такого имени у токена быть не может: {why?empty:оно пустое|long:оно слишком длинное|text:в нём есть непечатаемые знаки|space:оно начинается или заканчивается пробелом}",
		"the token cannot have this name: {why?empty:it is empty|long:it is too long|text:it has characters that cannot be shown|space:it begins or ends with a space}",
	},
	{"error.directory", "токендегі тізім бүлінген", "список на токене повреждён", "a list on the token is damaged"},
	{
		"error.decrypt", "шифрды ашу мүмкін болмады: хабар бұл кілтке немесе бұл тәсілге арналмаған",
		"не удалось расшифровать: сообщение не для этого ключа или не для этого способа",
		"cannot decrypt: the message is not for this key or not for this scheme",
	},
	{"error.leftovers", "қалдықтар табылды: {n}", "найдено лишнее: {n}", "left over: {n}"},

	// Files with certificates and keys.
	{"error.file.password", "файлдың құпиясөзі қате", "неверный пароль файла", "wrong password of the file"},
	{
		"error.file.kind", "файлда сертификат та, кілт те табылмады",
		"в файле нет ни сертификата, ни ключа", "the file holds neither a certificate nor a key",
	},
	{"error.file.damaged", "файл бүлінген", "файл повреждён", "the file is damaged"},
	{"error.file.large", "файл тым үлкен", "файл слишком большой", "the file is too large"},
	{
		"error.file.key", "токен файлдағы кілттің алгоритмін қолдамайды",
		"токен не поддерживает алгоритм ключа из файла", "the token does not take the algorithm of the key in the file",
	},
	{
		"error.file.mismatch", "файлдағы кілт ондағы сертификаттардың ешқайсысына сәйкес келмейді",
		"ключ из файла не подходит ни к одному сертификату в нём", "the key in the file belongs to no certificate of it",
	},
	{"error.file.several", "файлда бірнеше кілт бар", "в файле несколько ключей", "the file holds several keys"},
	{
		"error.file.unsupported", "файл бұл бағдарлама оқи алмайтын тәсілмен шифрланған",
		"файл зашифрован способом, который эта программа не читает", "the file is encrypted in a way that this program does not read",
	},
}

// hints is what a person can do about an error.
var hints = []entry{
	{"hint.plug.only", "токенді қосыңыз", "подключите токен", "plug the token in"},
	{
		"hint.plug", "токенді қосыңыз немесе бағдарламалық токенді байқап көріңіз: --backend virtual",
		"подключите токен или попробуйте программный: --backend virtual",
		"plug the token in, or try the software one with --backend virtual",
	},
	{"hint.devices", "--devices all мыналарды да қамтиды:{list}", "с --devices all доступны также:{list}", "--devices all also takes:{list}"},
	{"hint.there", "мыналар бар:{list}", "есть:{list}", "there is:{list}"},
	{
		"hint.choose", "біреуін --token арқылы таңдаңыз: сериялық нөмірі, порты, шина:мекенжай, реттік нөмірі немесе аты",
		"выберите один с помощью --token: серийный номер, порт, шина:адрес, порядковый номер или имя",
		"choose one with --token: its serial number, port, bus:address, number or name",
	},
	{"hint.card", "картаны оқу құрылғысына салыңыз", "вставьте карту в считыватель", "put a card into the reader"},
	{
		"hint.turn", "картаны немесе токенді шығарып, дұрыс жағымен қайта салыңыз",
		"выньте карту или токен, вставьте правильной стороной и повторите",
		"take the card or the token out, put it in the right way round, and try again",
	},
	{
		"hint.outcome", "пәрменді қайта жібермес бұрын, ол өзгертуге тиіс деректерді тексеріңіз",
		"карта могла выполнить команду, а могла и не выполнить: перед повтором проверьте то, что она должна была изменить",
		"the card may or may not have run the command: read back what it was to change before you send it again",
	},
	{
		"hint.interrupted", "соңғы пәрменнің орындалғаны белгісіз; токенде қалдық бар-жоғын тексеріңіз: kaztoken check",
		"неизвестно, выполнена ли последняя команда; проверьте, не осталось ли на токене лишнего: kaztoken check",
		"it is not known whether the last command was carried out; see whether it left something on the token: kaztoken check",
	},
	{"hint.replug", "токенді қайта қосыңыз", "подключите токен снова", "plug the token in again"},
	{
		"hint.recheck", "токенді қайта қосып, мынаны орындаңыз: kaztoken check",
		"подключите токен снова и выполните: kaztoken check", "plug the token in again and run: kaztoken check",
	},
	{
		"hint.udev", "udev ережесін орнатыңыз: {command}\nкомпьютердің өз экранында отырмасаңыз, одан бұрын: {group}, содан кейін қайта кіріңіз",
		"установите правило udev: {command}\nесли вы работаете не за экраном самого компьютера, перед этим: {group}, затем войдите в систему заново",
		"install the udev rule: {command}\nif you are not at the machine's own screen, before that: {group}, and log in again",
	},
	{"hint.stop", "оны тоқтатыңыз: {command}", "остановите её: {command}", "stop it: {command}"},
	{
		"hint.through", "сол қызмет арқылы жұмыс істеңіз: {option}; немесе оны тоқтатыңыз: {command}",
		"работайте через эту службу: {option}; или остановите её: {command}", "go through that service: {option}; or stop it: {command}",
	},
	{
		"hint.hidden", "смарт-карта қызметі токенді иемденіп тұр, бірақ көрсетпейді; оны тоқтатыңыз: {command}",
		"служба смарт-карт заняла токен, но не показывает его; остановите её: {command}",
		"the smart-card service has the token and does not show it; stop it: {command}",
	},
	{
		"hint.exclusive", "токенді жеке иемденіп тұрған бағдарламаны жабыңыз; ол {program} болса: {command}",
		"завершите программу, которая заняла токен только для себя; если это {program}: {command}",
		"end the program that keeps the token for itself; if it is {program}: {command}",
	},
	{
		"hint.service", "смарт-карта қызметін іске қосыңыз, мысалы: {command}; немесе онсыз жұмыс істеңіз: {option}",
		"запустите службу смарт-карт, например: {command}; или обойдитесь без неё: {option}",
		"start a smart-card service, for example {command}; or go without one: {option}",
	},
	{
		"hint.service.denied", "компьютердің өз экранында отырып жұмыс істеңіз немесе әкімшіден рұқсат сұраңыз",
		"работайте за самим компьютером или попросите доступ у администратора",
		"work at the computer itself, or ask its administrator for access",
	},
	{
		"hint.service.restart", "қызметті қайта іске қосыңыз: {command}",
		"перезапустите службу: {command}", "restart the service: {command}",
	},
	{"hint.end", "сол бағдарламаны жауып, қайталап көріңіз", "завершите эту программу и повторите", "end that program and try again"},
	{
		"hint.who", "қай бағдарлама екенін қараңыз: {fuser}; егер pcscd болса: {command}",
		"узнайте, какая это программа: {fuser}; если pcscd: {command}", "see who it is: {fuser}; if it is pcscd: {command}",
	},
	{
		"hint.state.busy", "сол бағдарламаның аяқталуын күтіңіз немесе бағдарламалық токенге басқа файл таңдаңыз",
		"дождитесь завершения той программы или выберите другой файл для программного токена",
		"wait until that program has ended, or choose another file for the software token",
	},
	{
		"hint.state.bad", "егер файл қажет болмаса, оны өшіріңіз: {file}; сонда бағдарламалық токен зауыттық күйінен басталады",
		"если файл не нужен, удалите его: {file}; тогда программный токен начнёт с заводского состояния",
		"if the file is of no use, remove it: {file}; the software token then begins in its factory state",
	},
	{
		"hint.state.file", "файлды --virtual-state FILE арқылы көрсетіңіз",
		"укажите файл с помощью --virtual-state FILE", "name a file with --virtual-state FILE",
	},
	{
		"hint.chain", "бұл токен ұзындығы {max} байтқа дейінгі APDU қабылдайды: ұзын деректерді бөліп жіберіңіз, соңғысынан басқасында CLA-ның 5-битін қойыңыз (пәрмендер тізбегі)",
		"этот токен принимает APDU длиной до {max} {max|байта|байт|байт}: отправляйте длинные данные частями, во всех, кроме последней, с битом 5 в CLA (цепочка команд)",
		"this token takes APDUs of up to {max} bytes: send longer data in parts, with bit 5 of CLA set in all but the last (command chaining)",
	},
	{
		"hint.secret", "ПИН кодты немесе құпиясөзді былай беріңіз: {file} немесе {fd}",
		"передайте PIN-код или пароль так: {file} или {fd}", "give the PIN or password with {file} or {fd}",
	},
	{
		"hint.yes", "келісетін болсаңыз, --yes қосыңыз", "если согласны, добавьте --yes", "if you agree, add --yes",
	},
	{
		"hint.unblock", "Әкімші оны бұғаттан шығарады: kaztoken pin unblock",
		"Администратор разблокирует его: kaztoken pin unblock", "the administrator unblocks it: kaztoken pin unblock",
	},
	{
		"hint.dead", "оны ешкім бұғаттан шығара алмайды; тек пішімдеу ғана көмектеседі, ол барлық деректерді жояды: kaztoken format",
		"его никто не разблокирует; поможет только форматирование, которое уничтожит все данные: kaztoken format",
		"nobody can unblock it; only formatting helps, and destroys all data: kaztoken format",
	},
	{
		"hint.last", "соңғы әрекетті пайдалану үшін --last-try қосыңыз; ПИН код қате болса, ол бұғатталады",
		"чтобы использовать последнюю попытку, добавьте --last-try; если PIN-код неверен, он будет заблокирован",
		"--last-try uses it; if the PIN is wrong, it is blocked",
	},
	{
		"hint.settings", "бұл ережені {file} файлында өзгертуге болады",
		"это правило можно изменить в файле {file}", "the rule can be changed in {file}",
	},
	{"hint.again", "пәрменді қайталаңыз", "повторите команду", "run the command again"},
	{
		"hint.policy", "бұл токенде Пайдаланушының ПИН кодын өзгерте алады: {policy?admin:Әкімші|user:Пайдаланушы|both:Пайдаланушы және Әкімші|unknown:белгісіз}",
		"на этом токене PIN-код Пользователя может менять: {policy?admin:Администратор|user:Пользователь|both:Пользователь и Администратор|unknown:неизвестно}",
		"on this token the user PIN may be changed by: {policy?admin:Administrator|user:User|both:User and Administrator|unknown:unknown}",
	},
	{
		"hint.vendor", "өндірушінің бағдарламасын пайдаланыңыз немесе токенді пішімдеңіз (барлық деректер жойылады): kaztoken format",
		"используйте программу производителя или отформатируйте токен (все данные будут уничтожены): kaztoken format",
		"use the vendor's software, or format the token, which destroys all its data: kaztoken format",
	},
	{"hint.format", "оны пішімдеңіз: kaztoken format", "отформатируйте его: kaztoken format", "format it: kaztoken format"},
	{
		"hint.space", "қажет емес сертификаттар мен кілттерді жойыңыз: kaztoken cert list, kaztoken cert delete",
		"удалите ненужные сертификаты и ключи: kaztoken cert list, kaztoken cert delete",
		"delete certificates and keys that are not needed: kaztoken cert list, kaztoken cert delete",
	},
	{
		"hint.repair", "тазалау үшін: kaztoken check --repair", "чтобы устранить: kaztoken check --repair", "to clear it: kaztoken check --repair",
	},
	{
		"hint.list", "не бар екенін мына пәрмен көрсетеді: {command}", "что есть, покажет: {command}", "{command} shows what there is",
	},
	{
		"hint.outdated", "оны қазіргі түрге ауыстырыңыз, мысалы: openssl pkcs12 -export",
		"преобразуйте его в современный вид, например: openssl pkcs12 -export", "bring it into a form of today, for example with openssl pkcs12 -export",
	},
}
